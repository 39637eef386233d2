"""`import dockerspawner` gives this package, after one line at the top of the configuration."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

INSTALL = "import asyncdockerspawner; asyncdockerspawner.install_as_dockerspawner()\n"


def run(code: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run code in an interpreter of its own: what it puts into `sys.modules` would stay."""
    folders = [str(path), os.environ.get("PYTHONPATH", "")] if path else []
    environment = {**os.environ, **({"PYTHONPATH": os.pathsep.join(filter(None, folders))} if path else {})}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )


def works(code: str, path: Path | None = None) -> None:
    done = run(code, path)
    assert done.returncode == 0, done.stderr


WHAT_IS_THERE = """
from importlib.util import find_spec
from asyncdockerspawner import DockerSpawner as ours
from asyncdockerspawner.names import naming
from traitlets.utils.importstring import import_item

import dockerspawner
assert dockerspawner.DockerSpawner is ours
assert not hasattr(dockerspawner, "nonsense")
import dockerspawner.dockerspawner as module
assert module.DockerSpawner is ours
from dockerspawner import dockerspawner
assert dockerspawner is module
from dockerspawner.dockerspawner import DockerSpawner, UnicodeOrFalse, default_format_volume_name
from dockerspawner.swarmspawner import SwarmSpawner
assert dockerspawner is module and import_item("dockerspawner.SwarmSpawner") is SwarmSpawner
from dockerspawner.volumenamingstrategy import default_format_volume_name, escaped_format_volume_name
assert default_format_volume_name is naming.default_format_volume_name
assert escaped_format_volume_name is naming.escaped_format_volume_name
import dockerspawner.swarmspawner, dockerspawner.systemuserspawner
assert find_spec("dockerspawner") and find_spec("dockerspawner.dockerspawner")
assert import_item("dockerspawner.DockerSpawner") is ours
del DockerSpawner
from dockerspawner import *
assert DockerSpawner is ours
"""


def test_what_code_imports_is_there() -> None:
    works(INSTALL + WHAT_IS_THERE)


def test_the_version_is_the_one_it_stands_in_for_and_says_whose_it_is() -> None:
    works(
        INSTALL + "import dockerspawner; from dockerspawner import _version\n"
        "assert dockerspawner.__version__ == _version.__version__\n"
        "assert _version.version_info == (14, 0, 0)\n"
        "assert dockerspawner.__version__ == f'14.0.0+asyncdockerspawner.{asyncdockerspawner.__version__}'"
    )


WHAT_IS_NOT_THERE = """
for code, told in {
    "import dockerspawner.other": "No module named 'dockerspawner.other'",
    "from dockerspawner import nonsense": "cannot import name 'nonsense'",
}.items():
    try:
        exec(code)
    except ImportError as exc:
        assert told in str(exc), exc
    else:
        raise AssertionError(code)
"""


def test_what_is_not_there_is_told_as_python_tells_it() -> None:
    works(INSTALL + WHAT_IS_NOT_THERE)


def test_every_class_is_there_in_all_its_places() -> None:
    works(
        INSTALL + "from traitlets.utils.importstring import import_item\n"
        "import dockerspawner\n"
        "for part, name in (('dockerspawner', 'DockerSpawner'), ('swarmspawner', 'SwarmSpawner'),\n"
        "                   ('systemuserspawner', 'SystemUserSpawner')):\n"
        "    ours = getattr(asyncdockerspawner, name)\n"
        "    assert import_item(f'dockerspawner.{name}') is ours\n"
        "    assert import_item(f'dockerspawner.{part}.{name}') is ours\n"
        "from dockerspawner import systemuserspawner\n"
        "assert systemuserspawner.__all__ == ['DockerSpawner', 'SystemUserSpawner']\n"
        "assert systemuserspawner.__file__.endswith('system_user.py')"
    )


def test_calling_it_again_changes_nothing() -> None:
    again = "import dockerspawner as two; assert one is two"
    works(INSTALL + "import dockerspawner as one\n" + INSTALL + again)


def test_it_has_what_code_reads_of_a_module() -> None:
    works(
        INSTALL + "import inspect, os, escapism, importlib.resources as resources, dockerspawner\n"
        "from dockerspawner.dockerspawner import asyncio, docker, escape\n"
        "assert escape is escapism.escape\n"
        "for module in (dockerspawner, dockerspawner.dockerspawner, dockerspawner.volumenamingstrategy):\n"
        "    assert os.path.exists(module.__file__) and module.__loader__ and module.__spec__.origin\n"
        "    assert inspect.getsource(module) and 'asyncdockerspawner' in module.__doc__\n"
        "assert dockerspawner.__package__ == dockerspawner.dockerspawner.__package__ == 'dockerspawner'\n"
        "assert resources.files('dockerspawner').joinpath('py.typed').is_file()"
    )


# ---- with another package of the name installed, as DockerSpawner itself is where a site moves ----


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """A folder with another package of the name, and with packages that use it."""
    package = tmp_path / "dockerspawner"
    package.mkdir()
    (package / "__init__.py").write_text("from .dockerspawner import DockerSpawner\n")
    (package / "dockerspawner.py").write_text("class DockerSpawner: pass\nclass Helper: pass\n")
    for name, code in USERS.items():
        (tmp_path / f"{name}.py").write_text(code)
    return tmp_path


USERS = {
    "takes_it": "from dockerspawner import DockerSpawner\n",
    "takes_the_package": "import dockerspawner as ds\n",
    "takes_another_class": "from dockerspawner.dockerspawner import Helper\n",
    "subclasses_it": "import dockerspawner as ds\nclass Mine(ds.DockerSpawner): pass\ndel ds\n",
    "hides_it": "def made():\n    from dockerspawner import DockerSpawner\n"
    "    return type('Mine', (DockerSpawner,), {})\nkept = [made()]\n",
    "installs_it": INSTALL + "from dockerspawner import DockerSpawner\nclass Mine(DockerSpawner): pass\n",
    "only_looks": "def look():\n    import dockerspawner\n    return dockerspawner.DockerSpawner\nlook()\n",
}
LOADED = "from importlib import import_module; import_module('dockerspawner')\n"
"""As the Hub imports what has registered an entry point."""
OURS = "import dockerspawner; assert dockerspawner.DockerSpawner is asyncdockerspawner.DockerSpawner\n"


def test_it_goes_before_an_installed_package(real: Path) -> None:
    works(INSTALL + OURS, real)


@pytest.mark.parametrize("before", ["", "import only_looks\n"])
def test_it_takes_the_place_of_a_package_that_is_imported_and_held_by_nobody(real: Path, before: str) -> None:
    gone = f"import sys; assert not [m for m in sys.modules.values() if {str(real / 'd')!r} in str(m)]\n"
    works(LOADED + before + INSTALL + WHAT_IS_THERE + OURS + gone, real)


@pytest.mark.parametrize(
    "user", ["takes_it", "takes_the_package", "takes_another_class", "subclasses_it", "hides_it"]
)
def test_a_module_that_holds_the_real_package_is_named_with_the_start_that_works(
    real: Path, user: str
) -> None:
    done = run(f"import {user}\n" + INSTALL, real)
    assert done.returncode == 1
    said = done.stderr[done.stderr.index("Error: ") :]
    assert f"is in use already, by {user}." in said
    assert str(real / "dockerspawner" / "__init__.py") in said
    python, _, code = shlex.split(said.splitlines()[-1])
    assert python == "python"
    assert "install_as_dockerspawner(); from jupyterhub.app import main; main()" in code


def test_a_package_of_a_third_party_may_install_it_itself_as_often_as_it_likes(real: Path) -> None:
    made = "assert installs_it.Mine.__mro__[1] is dockerspawner.DockerSpawner\n"
    works(LOADED + "import installs_it\n" + INSTALL + OURS + made, real)


def configured(real: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Have a configuration file read as the Hub reads it, which has imported the package before."""
    (real / "hub_config.py").write_text(text)
    return run(
        LOADED + "from traitlets.config.loader import PyFileConfigLoader as Loader\n"
        f"c = Loader('hub_config.py', {str(real)!r}).load_config()\n"
        "import asyncdockerspawner; assert c.JupyterHub.spawner_class is asyncdockerspawner.DockerSpawner",
        real,
    )


LAST = "from dockerspawner import DockerSpawner\nc.JupyterHub.spawner_class = DockerSpawner\n"


def test_a_configuration_file_installs_it_before_its_imports(real: Path) -> None:
    done = configured(real, INSTALL + LAST)
    assert done.returncode == 0, done.stderr


def test_a_configuration_file_that_imports_the_real_package_first_is_named(real: Path) -> None:
    done = configured(real, LAST + INSTALL)
    assert f"is in use already, by {real / 'hub_config.py'}." in done.stderr


def test_a_class_made_from_it_takes_dockerspawners_configuration() -> None:
    works(
        INSTALL + "from dockerspawner import DockerSpawner\n"
        "from dockerspawner.dockerspawner import UnicodeOrFalse\n"
        "from traitlets.config import Config\n"
        "class Mine(DockerSpawner):\n"
        "    thing = UnicodeOrFalse(False, config=True)\n"
        "c = Config(); c.DockerSpawner.prefix = 'mine'; c.Mine.thing = 'x'\n"
        "assert (Mine(config=c).prefix, Mine(config=c).thing, Mine().thing) == ('mine', 'x', False)"
    )
