"""`import dockerspawner` gives this package, after one line at the top of the configuration."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

INSTALL = "import asyncdockerspawner; asyncdockerspawner.install_as_dockerspawner()\n"


def run(code: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run code in an interpreter of its own: what it puts into `sys.modules` would stay."""
    environment = {**os.environ, **({"PYTHONPATH": str(path)} if path else {})}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )


def works(code: str, path: Path | None = None) -> None:
    done = run(code, path)
    assert done.returncode == 0, done.stderr


WHAT_IS_THERE = """
from importlib.util import find_spec
from asyncdockerspawner import DockerSpawner as ours, naming
from traitlets.utils.importstring import import_item

import dockerspawner
assert dockerspawner.DockerSpawner is ours
assert not hasattr(dockerspawner, "nonsense")
import dockerspawner.dockerspawner as module
assert module.DockerSpawner is ours
from dockerspawner import dockerspawner
assert dockerspawner is module
from dockerspawner.dockerspawner import DockerSpawner, UnicodeOrFalse, default_format_volume_name
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
    "from dockerspawner import SwarmSpawner": "asyncdockerspawner has no SwarmSpawner yet",
    "from dockerspawner import SystemUserSpawner": "asyncdockerspawner has no SystemUserSpawner yet",
    "from dockerspawner.swarmspawner import SwarmSpawner": "asyncdockerspawner has no SwarmSpawner yet",
    "from dockerspawner.systemuserspawner import SystemUserSpawner": "no SystemUserSpawner yet",
    "from traitlets.utils.importstring import import_item as i; i('dockerspawner.SwarmSpawner')": "yet",
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


def test_what_is_not_there_yet_says_so() -> None:
    works(INSTALL + WHAT_IS_NOT_THERE)


def test_calling_it_again_changes_nothing() -> None:
    again = "import dockerspawner as two; assert one is two"
    works(INSTALL + "import dockerspawner as one\n" + INSTALL + again)


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """A folder with another package of the name."""
    (tmp_path / "dockerspawner").mkdir()
    (tmp_path / "dockerspawner" / "__init__.py").write_text("class DockerSpawner: pass\n")
    return tmp_path


def test_it_goes_before_an_installed_package(real: Path) -> None:
    works(
        INSTALL
        + "import dockerspawner; assert dockerspawner.DockerSpawner is asyncdockerspawner.DockerSpawner",
        real,
    )


def test_it_refuses_where_the_real_package_is_in_use(real: Path) -> None:
    done = run("import dockerspawner\n" + INSTALL, real)
    last = done.stderr.splitlines()[-1]
    assert "has been imported already" in last
    assert str(real / "dockerspawner" / "__init__.py") in last
    assert "at the top of jupyterhub_config.py" in last


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
