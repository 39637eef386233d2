"""`python -m asyncdockerspawner.rebase` over a real Engine; what needs no real build also over the fake."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import jupyterhub
import pytest

from asyncdockerspawner.client.client import Client
from asyncdockerspawner.rebase import command
from asyncdockerspawner.rebase.recipe import PROGRAM, STAGE_LABEL
from tests.fake_engine import FakeEngine
from tests.support.clients import opened
from tests.support.rebase_images import NAME, small_base, write_wheels
from tests.support.site import real_client
from tests.testbed.engine import ensure_engine
from tests.testbed.images import ensure_base_image, ensure_stub_image
from tests.testbed.steps import lock

# A test may have to wait until others have built their images.
pytestmark = pytest.mark.timeout(900)

VERSION = jupyterhub.__version__


@dataclass
class Bench:
    """An Engine, and a name that is free there."""

    http: httpx.Client
    tag: str
    before: set[str] = field(default_factory=set)
    """What others have left here."""

    def image(self) -> dict[str, Any] | None:
        answer = self.http.get(f"/images/{self.tag}/json")
        return None if answer.status_code == 404 else dict(answer.raise_for_status().json())

    def containers(self) -> list[str]:
        """What is left of containers that asked for a version."""
        filters = json.dumps({"label": [STAGE_LABEL], "name": ["rebase-"]})
        return self._new(self.http.get("/containers/json", params={"all": 1, "filters": filters}).json())

    def building(self) -> list[str]:
        """Containers in which a build's commands run."""
        running = self.http.get("/containers/json").json()
        return self._new(one for one in running if "/rebase/" in one["Command"])

    def left(self) -> list[str]:
        """What is left of images without a name."""
        filters = json.dumps({"dangling": ["true"], "label": [STAGE_LABEL]})
        return self._new(self.http.get("/images/json", params={"filters": filters}).json())

    def _new(self, found: Iterable[dict[str, Any]]) -> list[str]:
        return [str(one["Id"]) for one in found if one["Id"] not in self.before]

    def output(self, *command: str) -> str:
        """What a command says in the image."""
        body = {"Image": self.tag, "Cmd": list(command), "Tty": True}
        ref = self.http.post("/containers/create", json=body).raise_for_status().json()["Id"]
        try:
            self.http.post(f"/containers/{ref}/start").raise_for_status()
            self.http.post(f"/containers/{ref}/wait")
            return self.http.get(f"/containers/{ref}/logs?stdout=1").text.replace("\r", "")
        finally:
            self.http.delete(f"/containers/{ref}?force=1")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No index, certificates or proxies of this machine."""
    for name in [name for name in os.environ if name.startswith("PIP_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """The real Engine; an image of the name is removed afterwards."""
    url, http = real_client()
    monkeypatch.setenv("DOCKER_HOST", url)
    made = Bench(http, f"{NAME}:{uuid.uuid4().hex[:12]}")
    # What another one builds meanwhile would be taken for ours.
    with http, lock("images"):
        made.before = {*made.containers(), *made.building(), *made.left()}
        yield made
        http.delete(f"/images/{made.tag}")


@pytest.fixture
def fake_bench(fake: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("DOCKER_HOST", fake.url)
    return Bench(fake.http, f"{NAME}:1")


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with opened(ensure_engine().url) as made:
        yield made


@pytest.fixture
async def small(bench: Bench, client: Client) -> AsyncIterator[Callable[..., Any]]:
    """Make small bases, which are removed afterwards, after what was built on them."""
    made: list[str] = []

    async def make(*instructions: str) -> str:
        made.append(await small_base(client, *instructions))
        return made[-1]

    yield make
    bench.http.delete(f"/images/{bench.tag}")
    for image in made:
        await client.builds.remove(image)


async def test_an_image_on_debian_runs_the_hubs_version_as_the_user(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_wheels(tmp_path, VERSION)
    words = [ensure_base_image(), bench.tag, "--no-pull", "--network=none", f"--wheels={tmp_path}"]
    words += ["--index-url=https://me:secret@index.test/simple", "--label=who=me"]
    assert await command.run(words) == command.READY
    said = capsys.readouterr().out
    assert f"Successfully installed jupyterhub-{VERSION} jupyterlab-4.0" in said
    assert f'c.DockerSpawner.image = "{bench.tag}"' in said
    found = bench.image()
    assert found is not None
    config = found["Config"]
    assert (config["User"], config["WorkingDir"], config["Cmd"]) == ("jovyan", "/home/jovyan", [PROGRAM])
    assert list(config["ExposedPorts"]) == ["8888/tcp"]
    assert config["Labels"]["who"] == "me"
    assert bench.output("sh", "-c", "id -un; id -u; echo $HOME $SHELL; stat -c %U work; ls / | grep reb") == (
        "jovyan\n1000\n/home/jovyan /bin/bash\njovyan\n"
    )
    # Neither layer nor history has the index's password.
    assert "secret" not in bench.http.get(f"/images/{bench.tag}/history").text
    assert (bench.containers(), bench.left()) == ([], [])


async def test_a_base_like_alpine_gets_python_bash_and_the_user(
    bench: Bench, small: Callable[..., Any]
) -> None:
    base = await small()
    assert await command.run([base, bench.tag, "--no-pull", "--user", "ada"]) == command.READY
    script = "command -v python3; ls /bin/bash; id -un; pwd; ls -ld work | cut -c 1-10"
    assert bench.output("sh", "-c", script) == "/bin/python3\n/bin/bash\nada\n/home/ada\ndrwxr-xr-x\n"


async def test_a_bases_own_user_of_that_id_gets_our_name(bench: Bench, small: Callable[..., Any]) -> None:
    user = "RUN echo ubuntu:x:1000:100:Ubuntu:/home/ubuntu:/bin/sh >>/etc/passwd"
    group = "RUN echo ubuntu:x:1000: >>/etc/group"
    base = await small(user, group, "USER ubuntu", 'SHELL ["/nowhere"]')
    assert await command.run([base, bench.tag, "--no-pull"]) == command.READY
    passwd = "jovyan:x:1000:100:Ubuntu:/home/jovyan:/bin/sh\n"
    assert bench.output("sh", "-c", "grep 1000 /etc/passwd; id -un; id -u") == f"{passwd}jovyan\n1000\n"
    assert (
        bench.output("sh", "-c", "grep -c ubuntu /etc/passwd /etc/group") == "/etc/passwd:0\n/etc/group:0\n"
    )


async def test_a_made_image_is_no_base(
    bench: Bench, small: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert await command.run([await small(), bench.tag, "--no-pull"]) == command.READY
    first = bench.image()
    assert await command.run([bench.tag, bench.tag, "--no-pull"]) == command.NOT_BUILT
    said = capsys.readouterr()
    assert "take the image that it was made from as the base" in said.out
    assert "preparing it failed with exit code 1" in said.err
    assert bench.image() == first


async def test_a_base_without_python_and_means_to_get_it_says_so(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ensure_stub_image()
    assert await command.run([base, bench.tag, "--no-pull"]) == command.NOT_BUILT
    assert "neither apt-get nor apk" in capsys.readouterr().out


async def test_a_base_without_a_name_is_refused_and_stays(
    bench: Bench, client: Client, small: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    found = await client.images.inspect(await small())
    assert found is not None
    bench.http.post(
        f"/images/{ensure_stub_image()}/tag",
        params=dict(zip(("repo", "tag"), found["RepoTags"][0].split(":"), strict=True)),
    )
    assert await command.run([found["Id"], bench.tag, "--no-pull"]) == command.NOT_BUILT
    assert "has no name at the Engine" in capsys.readouterr().err
    assert await client.images.inspect(found["Id"]) is not None
    await client.builds.remove(found["Id"])


async def test_pips_failure_is_told_and_leaves_nothing(
    bench: Bench, small: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert await command.run([await small(), bench.tag, "--no-pull", "--pip", "broken"]) == command.NOT_BUILT
    said = capsys.readouterr()
    assert "No matching distribution found for broken" in said.out
    assert "installing JupyterHub into it failed with exit code 1" in said.err
    assert (bench.image(), bench.containers(), bench.left()) == (None, [], [])


async def test_another_major_version_does_not_take_the_name(
    bench: Bench, small: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    base = await small()
    assert await command.run([base, bench.tag, "--no-pull"]) == command.READY
    first = bench.image()
    assert await command.run([base, bench.tag, "--no-pull", "--pip", "old"]) == command.UNFIT
    said = capsys.readouterr().err
    assert f"The image has JupyterHub 1.0 and the Hub is {VERSION}" in said
    assert bench.image() == first
    assert (bench.containers(), bench.left()) == ([], [])


async def test_an_entrypoint_that_runs_nothing_is_found_and_can_be_given_up(
    bench: Bench, small: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    base = await small('ENTRYPOINT ["/nowhere"]')
    assert await command.run([base, bench.tag, "--no-pull"]) == command.UNFIT
    assert "say --no-entrypoint" in capsys.readouterr().err
    assert await command.run([base, bench.tag, "--no-pull", "--no-entrypoint"]) == command.READY
    assert (bench.containers(), bench.left()) == ([], [])


async def test_an_unknown_base_is_named(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert await command.run(["no-registry.invalid/none:1", bench.tag]) == command.NOT_BUILT
    said = capsys.readouterr().err
    assert "The base no-registry.invalid/none:1 could not be fetched" in said
    assert "--no-pull" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
async def test_an_interrupted_build_leaves_nothing(
    bench: Bench, small: Callable[..., Any], number: signal.Signals
) -> None:
    words = [await small(), bench.tag, "--no-pull", "--pip", "slow"]
    process = subprocess.Popen(  # noqa: ASYNC220 - the test has nothing else to do
        [sys.executable, "-m", "asyncdockerspawner.rebase", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert any("Collecting slow" in line for line in process.stdout)
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    assert process.returncode == command.INTERRUPTED
    assert said.startswith("Interrupted: ")
    assert "Traceback" not in said
    assert (bench.image(), bench.containers(), bench.left()) == (None, [], [])
    assert bench.building() == []


async def test_a_check_that_is_cancelled_leaves_nothing(bench: Bench, small: Callable[..., Any]) -> None:
    await _cancelled_at_the_check(bench, await small(), "--pip", "endless", within=60)


async def _cancelled_at_the_check(bench: Bench, base: str, *words: str, within: float) -> None:
    """Cancel as soon as there is a container to check, and see that nothing is left."""
    task = asyncio.create_task(command.run([base, bench.tag, "--no-pull", *words]))
    async with asyncio.timeout(within):
        while not bench.containers():  # noqa: ASYNC110 - the Engine tells nobody
            await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (bench.image(), bench.containers(), bench.left()) == (None, [], [])


async def test_a_check_without_an_end_is_an_error(
    fake_bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "CHECK_SECONDS", 0.3)
    assert await command.run(["silent:1", fake_bench.tag, "--no-pull"]) == command.NOT_BUILT
    assert "Cannot wait for container: no answer within the deadline" in capsys.readouterr().err
    assert (fake_bench.image(), fake_bench.containers(), fake_bench.left()) == (None, [], [])


async def test_a_create_that_is_cancelled_on_its_way_leaves_nothing(
    fake: FakeEngine, fake_bench: Bench
) -> None:
    fake.rule("POST", "/containers/create", delay_after=0.5)
    await _cancelled_at_the_check(fake_bench, "silent:1", within=20)


async def test_the_fake_engine_builds_and_checks(fake_bench: Bench) -> None:
    labels = ["--label", "fake.exit=0", "--label", f"fake.stdout={VERSION}", "--label", "fake.http=0"]
    assert await command.run(["stub:1", fake_bench.tag, "--no-pull", *labels]) == command.READY
    found = fake_bench.image()
    assert found is not None
    assert found["Config"]["Cmd"] == [PROGRAM]
    assert (fake_bench.containers(), fake_bench.left()) == ([], [])


async def test_without_an_engine_it_says_what_to_look_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert await command.run(["debian:12", "lab:1"]) == command.NOT_BUILT
    assert "the Engine cannot be reached" in capsys.readouterr().err
