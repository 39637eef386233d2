"""The Python environments that the measured Hubs run in: ours, and one of its own for DockerSpawner 14."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

INSTALL_LIMIT = 600.0


def cache_folder() -> Path:
    """Where the benchmarks keep what they can use again."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "asyncdockerspawner" / "bench"


def our_python() -> Path:
    """The interpreter that runs the benchmark: our package and its JupyterHub are installed there."""
    return Path(sys.executable)


def dockerspawner_python() -> Path:
    """An environment with DockerSpawner 14 and our JupyterHub's version, one for each of JupyterHub's majors.

    It is made anew only when what it is made of changes.
    """
    hub = version("jupyterhub")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = cache_folder() / f"dockerspawner-14-hub-{hub.partition('.')[0]}-python-{python}"
    wanted = {
        "python": platform.python_version(),
        "packages": [f"jupyterhub=={hub}", "dockerspawner==14.*"],
    }
    marker = folder / "made-of.json"
    interpreter = folder / "bin" / "python"
    if marker.exists() and json.loads(marker.read_text()) == wanted:
        return interpreter
    print(f"Making an environment for DockerSpawner 14 in {folder} ...", flush=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    uv = (sys.executable, "-m", "uv")
    _run(*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
    _run(*uv, "pip", "install", "--quiet", "--python", str(interpreter), *wanted["packages"])
    marker.write_text(json.dumps(wanted))
    return interpreter


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=INSTALL_LIMIT)
