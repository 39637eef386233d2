"""The client works with every release of aiodocker that pyproject.toml allows; with any other it says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import aiodocker
import pytest

import asyncdockerspawner
from asyncdockerspawner.client.transport import RELEASES
from tests.fake_engine import FakeEngine
from tests.testbed.aiodocker_releases import OLD_RELEASES, ensure_aiodocker

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def releases() -> dict[str, Path]:
    """Their folders."""
    return {release: ensure_aiodocker(release) for release in OLD_RELEASES}


def python(folder: Path | None, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python with one release before the environment's own."""
    ours = Path(asyncdockerspawner.__file__).parents[1]
    path = [*([folder] if folder else []), ours, Path.cwd()]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    command = [sys.executable, "-W", "error", *words]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("release", [*OLD_RELEASES, aiodocker.__version__])
def test_a_release_does_what_the_client_asks_of_it(
    fake: FakeEngine, releases: dict[str, Path], release: str
) -> None:
    ended = python(
        releases.get(release), "-m", "tests.support.aiodocker_script", fake.url, f"{fake.url}.none"
    )
    assert (ended.stderr, ended.stdout.strip()) == ("", release)


@pytest.mark.parametrize(
    "core",
    [
        "async def _request(self, path, method, **more): ...",
        "async def _do_query(self, path, method, *, params, data, headers, timeout): ...",
        "async def _do_query(self, path, method, *, params, data, headers, timeout, chunked,"
        " read_until_eof, versioned_api, retries): ...",
    ],
    ids=["gone", "less", "more"],
)
def test_any_other_release_is_told_at_import_in_one_sentence(tmp_path: Path, core: str) -> None:
    package = tmp_path / "aiodocker"
    package.mkdir()
    (package / "exceptions.py").write_text("class DockerError(Exception): ...\n")
    (package / "__init__.py").write_text(
        f'from .exceptions import DockerError\n__version__ = "0.99.0"\nclass Docker:\n    {core}\n'
    )
    ended = python(tmp_path, "-c", "from asyncdockerspawner import DockerSpawner")
    assert ended.returncode == 1
    assert ended.stderr.strip().splitlines()[-1] == (
        f"ImportError: asyncdockerspawner cannot work with aiodocker 0.99.0: run pip install '{RELEASES}'."
    )


def test_the_range_that_is_told_is_the_project_s() -> None:
    assert f'"{RELEASES}"' in (PROJECT / "pyproject.toml").read_text()
