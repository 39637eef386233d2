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
WRITTEN_BY_RUNS = (":(exclude)benchmarks/results", ":(exclude)README.md")
"""What a run itself changes of a checkout, in git's words."""


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
        "asyncdockerspawner": revision(),
        "aiodocker": version("aiodocker"),
        "DockerSpawner": _of_peer(peer) if peer else "not measured",
    }


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def revision() -> str:
    """The installed version, with the commit of this checkout, if it is one; `-dirty` where it differs."""
    commit = _git("rev-parse", "--short", "HEAD")
    if not commit:
        return version("asyncdockerspawner")
    dirty = "-dirty" if _git("status", "--porcelain", "--", ".", *WRITTEN_BY_RUNS) else ""
    return f"{version('asyncdockerspawner')} ({commit}{dirty})"


def _git(*words: str) -> str:
    """What git says of this checkout; nothing where there is none, or no git."""
    try:
        found = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""


def _of_peer(python: Path) -> str:
    asked = "import importlib.metadata, json; print(json.dumps(importlib.metadata.version('dockerspawner')))"
    return str(json.loads(subprocess.run([python, "-c", asked], capture_output=True, check=True).stdout))
