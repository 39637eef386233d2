"""Where a run was measured, and of which versions."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ENGINE = "Docker Engine"


def machine(engine: str, peer: Path | None) -> dict[str, Any]:
    """Describe this machine and the versions on it; `peer` is the interpreter that has DockerSpawner."""
    return {
        "CPUs": os.cpu_count(),
        "CPU": _cpu(),
        "memory (GiB)": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "Linux": platform.release(),
        ENGINE: engine,
        "Python": sys.version.split()[0],
        "JupyterHub": version("jupyterhub"),
        "asyncdockerspawner": _revision(),
        "aiodocker": version("aiodocker"),
        "DockerSpawner": _of_peer(peer) if peer else "not measured",
    }


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _revision() -> str:
    """The installed version, with the commit where this is a checkout."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    commit = f" ({found.stdout.strip()})" if found.returncode == 0 else ""
    return version("asyncdockerspawner") + commit


def _of_peer(python: Path) -> str:
    asked = "import importlib.metadata, json; print(json.dumps(importlib.metadata.version('dockerspawner')))"
    return str(json.loads(subprocess.run([python, "-c", asked], capture_output=True, check=True).stdout))
