"""The Python environment that DockerSpawner 14 has of its own."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from tests.testbed.steps import cache_dir, lock, say

INSTALL_LIMIT = 600.0


def dockerspawner_python() -> Path:
    """An environment with DockerSpawner 14 and our JupyterHub's version, one for each of JupyterHub's majors.

    It is made anew only when what it is made of changes.
    """
    hub = version("jupyterhub")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = cache_dir("bench") / f"dockerspawner-14-hub-{hub.partition('.')[0]}-python-{python}"
    wanted = {
        "python": platform.python_version(),
        "packages": [f"jupyterhub=={hub}", "dockerspawner==14.*"],
    }
    marker = folder / "made-of.json"
    interpreter = folder / "bin" / "python"
    with lock(folder.name):
        if marker.exists() and json.loads(marker.read_text()) == wanted:
            return interpreter
        say(f"* making an environment for DockerSpawner 14 in {folder} ...")
        uv = (sys.executable, "-m", "uv")
        _run(*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
        _run(*uv, "pip", "install", "--quiet", "--python", str(interpreter), *wanted["packages"])
        marker.write_text(json.dumps(wanted))
    return interpreter


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=INSTALL_LIMIT)
