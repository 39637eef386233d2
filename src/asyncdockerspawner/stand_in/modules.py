"""Standing in for DockerSpawner's package, for code that imports it."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from traitlets import Unicode
from traitlets.utils.importstring import import_item

from asyncdockerspawner.errors import AsyncDockerSpawnerError
from asyncdockerspawner.names import naming
from asyncdockerspawner.spawners.docker import DockerSpawner
from asyncdockerspawner.spawners.swarm import SwarmSpawner
from asyncdockerspawner.spawners.system_user import SystemUserSpawner

NAME = "dockerspawner"
PACKAGE = "asyncdockerspawner"
STANDS_IN_FOR = (14, 0, 0)
"""DockerSpawner's version whose code runs on this package."""
SURE_START = (
    f'python -c "import {PACKAGE} as a; a.install_as_dockerspawner(); '
    'from jupyterhub.app import main; main()"'
)
"""Starts the Hub, with arguments as usual, so that everything else is imported later."""

_FOLDER = Path(__file__).parents[1]
_REACHED_THROUGH = {
    "asyncio": "asyncio",
    "docker": "docker",
    "inspect": "inspect",
    "json": "json",
    "jupyterhub": "jupyterhub",
    "os": "os",
    "string": "string",
    "warnings": "warnings",
    "APIError": "docker.errors.APIError",
    "ByteSpecification": "jupyterhub.traitlets.ByteSpecification",
    "Callable": "jupyterhub.traitlets.Callable",
    "Mount": "docker.types.Mount",
    "Spawner": "jupyterhub.spawner.Spawner",
    "escape": "escapism.escape",
    "kwargs_from_env": "docker.utils.kwargs_from_env",
    "web": "tornado.web",
}
"""What DockerSpawner's module has imported for itself, and code takes from there."""


class UnicodeOrFalse(Unicode[Any, Any]):
    """A text, or False for none."""

    info_text = "a text or False"

    def validate(self, obj: Any, value: Any) -> Any:
        """Take False as it is."""
        return value if value is False else super().validate(obj, value)


def install_as_dockerspawner() -> None:
    """Have `import dockerspawner`, and what is below it, give this package.

    Call it at the top of `jupyterhub_config.py`, before anything there imports `dockerspawner`. Calling it
    again does nothing. Where DockerSpawner is installed too, the Hub has imported it before it reads its
    configuration; this package takes its place all the same, unless a module outside holds one of its
    classes: what is made from these would not be ours. Raises AsyncDockerSpawnerError with those modules'
    names then.
    """
    known = sys.modules.get(NAME)
    if getattr(known, "DockerSpawner", None) is DockerSpawner:
        return
    real = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == NAME}
    if holders := sorted(set(_holders(real))):
        raise AsyncDockerSpawnerError(
            f"{NAME} (from {getattr(known, '__file__', '?')}) is in use already, by {', '.join(holders)}.",
            advice=f"Call {PACKAGE}.install_as_dockerspawner() before that. What other packages have "
            f"registered for the Hub, it imports before its configuration: start it by\n    {SURE_START}",
        )
    for name in real:
        del sys.modules[name]
    sys.modules.update(_modules())


def _holders(real: Mapping[str, ModuleType]) -> Iterator[str]:
    """Name the modules, and the configuration files being read, that have these modules or their classes."""
    classes = {each for module in real.values() for each in vars(module).values() if _is_of(each, real)}
    held = {id(each) for each in (*real.values(), *classes)}
    for name, namespace in _namespaces(real):
        if any(id(each) in held for each in list(namespace.values())):
            yield name
    # Classes that were made from them may be held anywhere.
    for each in classes:
        yield from _made_from(each, real)


def _is_of(value: object, real: Mapping[str, ModuleType]) -> bool:
    return isinstance(value, type) and value.__module__ in real


def _made_from(kind: Any, real: Mapping[str, ModuleType]) -> Iterator[str]:
    for each in type.__subclasses__(kind):
        if each.__module__ not in real:
            yield each.__module__
        yield from _made_from(each, real)


def _namespaces(real: Mapping[str, ModuleType]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, module in list(sys.modules.items()):
        namespace = getattr(module, "__dict__", None)
        if name not in real and isinstance(namespace, dict):
            yield name, namespace
    # A configuration file is no module: it calls us.
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_globals.get("__name__") not in sys.modules:
            yield str(frame.f_globals.get("__file__", frame.f_code.co_filename)), frame.f_globals
        frame = frame.f_back


def _modules() -> dict[str, ModuleType]:
    """Return what stands in `sys.modules` from now on."""
    classes = {
        "DockerSpawner": DockerSpawner,
        "SwarmSpawner": SwarmSpawner,
        "SystemUserSpawner": SystemUserSpawner,
    }
    package = _module(NAME, "__init__", {**classes, "__version__": _version()})
    found = {NAME: package}
    for part, (file, names) in _parts().items():
        module = _module(f"{NAME}.{part}", file, names)
        setattr(package, part, module)
        found[module.__name__] = module
    return found


def _version() -> str:
    ours = importlib.import_module(PACKAGE).__version__
    # Code compares it with DockerSpawner's; what comes after the + tells people whose it is.
    return f"{'.'.join(map(str, STANDS_IN_FOR))}+{PACKAGE}.{ours}"


def _parts() -> dict[str, tuple[str, dict[str, Any]]]:
    """Return the submodules: which of our files stands for each, and what is in it."""
    spawner = {"DockerSpawner": DockerSpawner}
    default = {"default_format_volume_name": naming.default_format_volume_name}
    escaped = {"escaped_format_volume_name": naming.escaped_format_volume_name}
    return {
        "_version": ("__init__", {"__version__": _version(), "version_info": STANDS_IN_FOR}),
        "dockerspawner": ("spawners/docker", {**spawner, **default, "UnicodeOrFalse": UnicodeOrFalse}),
        "swarmspawner": ("spawners/swarm", {**spawner, "SwarmSpawner": SwarmSpawner}),
        "systemuserspawner": ("spawners/system_user", {**spawner, "SystemUserSpawner": SystemUserSpawner}),
        "volumenamingstrategy": ("names/naming", {**default, **escaped}),
    }


def _module(name: str, file: str, names: Mapping[str, Any]) -> ModuleType:
    # A file of ours gives it all that code reads of a module: `__file__`, `__loader__`, resources.
    inside: list[str] | None = [] if name == NAME else None
    spec = spec_from_file_location(name, _FOLDER / f"{file}.py", submodule_search_locations=inside)
    assert spec is not None  # noqa: S101 - it is a source file
    module = module_from_spec(spec)
    module.__doc__ = f"{PACKAGE} in the place of {name}."
    module.__dict__.update(names, __all__=sorted(names), __getattr__=_missing_in(name))
    return module


def _missing_in(module: str) -> Callable[[str], Any]:
    def missing(name: str) -> Any:
        if module != NAME and name in _REACHED_THROUGH:
            return import_item(_REACHED_THROUGH[name])
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return missing
