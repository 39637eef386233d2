"""The Python environment that DockerSpawner 14 has of its own."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from tests.testbed.steps import cache_dir, lock, say

INSTALL_LIMIT = 600.0


def dockerspawner_python() -> Path:
    """An environment with DockerSpawner 14, for our interpreter and our JupyterHub's version.

    It is made once, and never anew: others may be using it.
    """
    hub, python = version("jupyterhub"), platform.python_version()
    folder = cache_dir("bench") / f"dockerspawner-14-hub-{hub}-python-{python}"
    made, interpreter = folder / "made", folder / "bin" / "python"
    with lock(folder.name):
        if made.exists():
            return interpreter
        say(f"* making an environment for DockerSpawner 14 in {folder} ...")
        uv = (sys.executable, "-m", "uv")
        _run(*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
        packages = (f"jupyterhub=={hub}", "dockerspawner==14.*")
        _run(*uv, "pip", "install", "--quiet", "--python", str(interpreter), *packages)
        made.touch()
    return interpreter


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=INSTALL_LIMIT)
