"""Old releases of aiodocker, each in a folder that goes before the environment's own on Python's path."""

from __future__ import annotations

from pathlib import Path

from tests.testbed.steps import cache_dir, lock, pip, run, step

OLD_RELEASES = ("0.21.0", "0.24.0", "0.26.0")
"""The oldest that is supported, one of each kind until the newest, which is the environment's own."""


def ensure_aiodocker(release: str) -> Path:
    """The folder with this release; its own requirements are the environment's."""
    folder = cache_dir("testbed", "aiodocker", release)
    if not _is_there(folder):
        with lock("aiodocker"):
            if not _is_there(folder):
                with step(f"pip install aiodocker=={release}"):
                    options = ["--disable-pip-version-check", "--no-deps", "--upgrade", f"--target={folder}"]
                    run([*pip(), "install", *options, f"aiodocker=={release}"])
    return folder


def _is_there(folder: Path) -> bool:
    return any(folder.glob("aiodocker-*.dist-info/RECORD"))
