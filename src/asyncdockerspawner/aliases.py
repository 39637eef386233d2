"""Standing in for DockerSpawner's package, for code that imports it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from traitlets import Unicode

from asyncdockerspawner.errors import AsyncDockerSpawnerError
from asyncdockerspawner.naming import default_format_volume_name, escaped_format_volume_name
from asyncdockerspawner.spawner import DockerSpawner

NAME = "dockerspawner"
STANDS_IN_FOR = (14, 0, 0)
"""DockerSpawner's version whose code runs on this package."""
TO_COME = frozenset({"SwarmSpawner", "SystemUserSpawner"})


class UnicodeOrFalse(Unicode[Any, Any]):
    """A text, or False for none."""

    info_text = "a text or False"

    def validate(self, obj: Any, value: Any) -> Any:
        """Take False as it is."""
        return value if value is False else super().validate(obj, value)


def install_as_dockerspawner() -> None:
    """Have `import dockerspawner`, and what is below it, give this package.

    Call it at the top of `jupyterhub_config.py`, before anything imports `dockerspawner`. Calling it again
    does nothing. Raises AsyncDockerSpawnerError where the real package has been imported already: classes
    made from it would not be ours.
    """
    known = sys.modules.get(NAME)
    if known is not None:
        if getattr(known, "DockerSpawner", None) is DockerSpawner:
            return
        raise AsyncDockerSpawnerError(
            f"{NAME} has been imported already, from {getattr(known, '__file__', 'somewhere')}: call "
            "asyncdockerspawner.install_as_dockerspawner() before that, at the top of jupyterhub_config.py."
        )
    package = _module(NAME, _names(), path=[])
    for part, names in _parts().items():
        module = _module(f"{NAME}.{part}", names)
        setattr(package, part, module)
        sys.modules[module.__name__] = module
    sys.modules[NAME] = package


def _version() -> str:
    ours = importlib.import_module(__package__).__version__
    # Code compares it with DockerSpawner's; what comes after the + tells people whose it is.
    return f"{'.'.join(map(str, STANDS_IN_FOR))}+{__package__}.{ours}"


def _names() -> dict[str, Any]:
    return {"DockerSpawner": DockerSpawner, "__version__": _version()}


def _parts() -> dict[str, dict[str, Any]]:
    volume_names = {
        "default_format_volume_name": default_format_volume_name,
        "escaped_format_volume_name": escaped_format_volume_name,
    }
    return {
        "_version": {"__version__": _version(), "version_info": STANDS_IN_FOR},
        "dockerspawner": {
            "DockerSpawner": DockerSpawner,
            "UnicodeOrFalse": UnicodeOrFalse,
            "default_format_volume_name": default_format_volume_name,
        },
        "swarmspawner": {"DockerSpawner": DockerSpawner},
        "systemuserspawner": {"DockerSpawner": DockerSpawner},
        "volumenamingstrategy": volume_names,
    }


def _module(name: str, names: Mapping[str, Any], path: list[str] | None = None) -> ModuleType:
    module = ModuleType(name, f"{__package__} in the place of {name}.")
    module.__spec__ = ModuleSpec(name, None, is_package=path is not None)
    if path is not None:
        module.__path__ = path
    module.__dict__.update(names, __all__=sorted(names), __getattr__=_missing_in(name))
    return module


def _missing_in(module: str) -> Callable[[str], Any]:
    def missing(name: str) -> Any:
        if name in TO_COME:
            # No AttributeError: the import statement would put a sentence of its own in this one's place.
            raise ImportError(f"{__package__} has no {name} yet, only DockerSpawner.", name=module)
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return missing
