"""The recipe of the manual for sites that come from DockerSpawner before 12, on real volumes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import jupyterhub
import pytest

from tests.testbed.engine import ensure_engine
from tests.testbed.singleuser import ensure_singleuser_image

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


def recipe() -> str:
    found = re.search(r"<!-- recipe: volumes -->\n```sh\n(.+?)```", README, re.DOTALL)
    assert found
    return found[1]


@pytest.fixture
def prefix() -> Iterator[str]:
    """What this test's volumes begin with; they are removed."""
    made = f"t{uuid.uuid4().hex[:8]}-user-"
    yield made
    with ensure_engine().client(60) as engine:
        for volume in engine.get("/volumes").json()["Volumes"] or []:
            if volume["Name"].startswith(made):
                engine.delete(f"/volumes/{volume['Name']}", params={"force": 1})


def run(script: str, **environment: str) -> str:
    # The recipe's python3 is the one that has the Hub.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/local/sbin:/usr/sbin:/sbin"
    done = subprocess.run(
        ["sh", "-eu", "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path, "DOCKER_HOST": ensure_engine().url, **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_files_in_volumes_of_the_old_names_are_found_under_the_new_ones(prefix: str) -> None:
    assert shutil.which("docker")
    image = ensure_singleuser_image(jupyterhub.__version__)
    script = recipe().replace("debian:stable-slim", image).replace("jupyterhub-user-", prefix)
    old = {"alice": "alice", "a-b": "a-2db", "has_40cap": "has-40cap", "A_2EB": "-41-2e-42"}
    # A server's files are its user's, also where root copies them.
    begin = 'docker run --rm --user 1000 --volume "$VOLUME:/home/jovyan"'
    write = f'{begin} "{image}" sh -c "echo $VOLUME > a"'
    read = f'{begin} "{image}" sh -c "cat a; echo more >> a"'
    for name in old:
        run(write, VOLUME=prefix + name)
    run(script)
    for name, new in old.items():
        assert run(read, VOLUME=prefix + new) == f"{prefix}{name}\n"
    # Repeated, it takes nothing back.
    run(script)
    assert run(read, VOLUME=prefix + "alice") == f"{prefix}alice\nmore\n"
