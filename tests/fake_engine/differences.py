"""`GET /containers/REF/changes`: what in a container's files differs from its image."""

from __future__ import annotations

from pathlib import PurePosixPath

from tests.fake_engine.shapes import Json
from tests.fake_engine.state import Container

KINDS = {"C": 0, "A": 1, "D": 2}
"""As `docker diff` writes them."""
IMAGE_FOLDERS = frozenset({"/", "/bin", "/etc", "/www", "/home", "/home/jovyan", "/home/jovyan/work"})
"""The test bed's stub image has these."""


def shown(container: Container) -> list[Json] | None:
    """The answer's body: null where there is none."""
    return [{"Path": path, "Kind": kind} for path, kind in container.changes.items()] or None


def write(container: Container) -> None:
    """Note what a start changes: what it mounts on, and what its label `fake.changes` says."""
    asked = container.host_config
    targets = [str(each["Destination"]) for each in container.mounts] + list(asked.get("Tmpfs") or ())
    for target in targets:
        _add_folder(container, PurePosixPath(target))
    for line in (container.trait("changes") or "").splitlines():
        kind, _, path = line.partition(" ")
        container.changes[path] = KINDS[kind]


def wrote(container: Container, path: PurePosixPath) -> None:
    """Note what was put into its own files."""
    known = container.image.files
    for each in [*reversed(path.parents), path][1:]:
        container.changes.setdefault(str(each), KINDS["C" if each in known else "A"])


def _add_folder(container: Container, target: PurePosixPath) -> None:
    # What runc makes to mount something there, stays in the container's own layer.
    if str(target) in IMAGE_FOLDERS:
        return
    for folder in [*reversed(target.parents), target][1:]:
        container.changes.setdefault(str(folder), KINDS["C" if str(folder) in IMAGE_FOLDERS else "A"])
