"""Helper programs: run without a thread, ended in time, and nothing is left of them."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from asyncdockerspawner.client import programs
from asyncdockerspawner.client.programs import Ended
from asyncdockerspawner.errors import BadOption, ProgramFailed
from asyncdockerspawner.images.credentials import DOCKER_HUB, Credentials
from asyncdockerspawner.images.docker_config import DockerConfig
from tests.support import guards
from tests.support.waiting import turns, until

SECRET = "s3cret"


def fds() -> set[str]:
    return {
        f"{name} {os.readlink(f'/proc/self/fd/{name}')}"
        for name in os.listdir("/proc/self/fd")
        if os.path.lexists(f"/proc/self/fd/{name}")
    }


def children() -> set[str]:
    """Children of this process, dead ones that nobody has waited for included."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def alive(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


@pytest.fixture(autouse=True)
async def nothing_is_left_behind() -> AsyncIterator[None]:
    before = fds(), children()
    with guards.no_threads(asyncio.get_running_loop()):
        yield
        assert (fds(), children()) == before


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "bin").mkdir()
    return {
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "FOLDER": str(tmp_path),
    }


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., str]:
    def write(body: str, name: str = "helper", shebang: str = "#!/bin/sh\n") -> str:
        path = tmp_path / "bin" / name
        path.write_text(f"{shebang}{body}\n")
        path.chmod(0o755)
        return name

    return write


Script = Callable[..., str]


async def run(name: str, environ: dict[str, str], *, timeout: float = 20, stdin: bytes = b"") -> Ended:
    return await programs.run([name, "get"], environ=environ, timeout=timeout, stdin=stdin)


async def test_a_program_answers_what_it_is_asked(script: Script, environ: dict[str, str]) -> None:
    name = script('read line; echo "$1 $line $WORD"; echo warned >&2')
    ended = await run(name, {**environ, "WORD": "w"}, stdin=b"quay.io\n")
    assert ended == Ended(0, b"get quay.io w\n", b"warned\n")


async def test_what_a_program_says_is_not_in_a_log(script: Script, environ: dict[str, str]) -> None:
    assert SECRET not in repr(await run(script(f"echo {SECRET}"), environ))


@pytest.mark.parametrize(("body", "code"), [("exit 3", 3), ("kill -9 $$", -9)])
async def test_the_exit_code_is_told(script: Script, environ: dict[str, str], body: str, code: int) -> None:
    assert await run(script(f"echo last words; {body}"), environ) == Ended(code, b"last words\n", b"")


async def test_long_input_and_output_pass_at_the_same_time(script: Script, environ: dict[str, str]) -> None:
    said = b"0123456789" * 50_000
    assert await run(script("exec cat"), environ, stdin=said) == Ended(0, said, b"")


async def test_a_program_need_not_read_its_input(script: Script, environ: dict[str, str]) -> None:
    ended = await run(script("exec <&-; sleep 0.1; echo done"), environ, stdin=b"x" * 500_000)
    assert ended == Ended(0, b"done\n", b"")


async def test_a_child_that_keeps_the_pipes_open_is_not_waited_for(
    script: Script, environ: dict[str, str]
) -> None:
    started = time.monotonic()
    ended = await run(script("sleep 5 & echo $!"), environ)
    os.kill(int(ended.stdout), 9)
    assert time.monotonic() - started < 4


async def test_a_program_inherits_no_file_and_no_signal_setting(
    script: Script, environ: dict[str, str]
) -> None:
    body = (
        "import os\n"
        "for fd in os.listdir('/proc/self/fd'):\n"
        "    if os.path.lexists(f'/proc/self/fd/{fd}'):\n"
        "        print(fd, os.readlink(f'/proc/self/fd/{fd}'))\n"
        "print(os.getsid(0) == os.getpid())\n"
    )
    name = script(body, shebang=f"#!{sys.executable} -IS\n")
    with socket.socket() as ours:
        ours.listen()
        *files, own_session = (await run(name, environ)).stdout.decode().splitlines()
    # What these tests were started with may be inherited, as by every program.
    pipes = [line for line in files if "pipe:" in line or "socket:" in line]
    assert sorted(line.split()[0] for line in pipes if line not in fds()) == ["0", "1", "2"]
    assert own_session == "True"
    # Python itself ignores the broken pipe again, so another program has to tell.
    ignored = await run(script("exec grep SigIgn /proc/self/status", "signals"), environ)
    assert int(ignored.stdout.split()[1], 16) & (1 << 12) == 0


async def test_a_program_that_hangs_is_killed_at_its_deadline(
    script: Script, environ: dict[str, str], tmp_path: Path
) -> None:
    name = script('echo $$ >"$FOLDER/pid"; trap "" TERM; sleep 60 & echo $! >"$FOLDER/child"; wait; sleep 60')
    with pytest.raises(ProgramFailed, match=r"helper was not done within 0.5 s"):
        await run(name, environ, timeout=0.5)
    pids = [int((tmp_path / file).read_text()) for file in ("pid", "child")]
    assert not alive(pids[0])
    await until(lambda: not alive(pids[1]))


@pytest.mark.parametrize("pipe", [1, 2])
async def test_a_program_that_floods_its_output_is_killed(
    script: Script, environ: dict[str, str], pipe: int
) -> None:
    with pytest.raises(ProgramFailed, match="helper said more than 1048576 bytes"):
        await run(script(f"exec yes >&{pipe}"), environ)


async def test_output_is_bounded_also_where_the_program_ends_at_once(
    script: Script, environ: dict[str, str]
) -> None:
    with pytest.raises(ProgramFailed, match="more than 10 bytes"):
        await programs.run([script("echo 0123456789")], environ=environ, timeout=20, limit=10)


async def test_a_program_is_killed_and_reaped_when_its_caller_is_cancelled(
    script: Script, environ: dict[str, str], tmp_path: Path
) -> None:
    name = script('echo $$ >"$FOLDER/pid"; echo x >"$FOLDER/ready"; exec sleep 60')
    task = asyncio.create_task(run(name, environ))
    await until((tmp_path / "ready").exists)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (tmp_path / "pid").read_text().strip() not in children()


async def test_a_program_is_reaped_also_when_its_caller_is_cancelled_twice(
    script: Script, environ: dict[str, str], tmp_path: Path
) -> None:
    before = children()
    task = asyncio.create_task(run(script('echo x >"$FOLDER/ready"; exec sleep 60'), environ))
    await until((tmp_path / "ready").exists)
    task.cancel()
    asyncio.get_running_loop().call_soon(task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: children() == before)
    await turns()


async def test_many_programs_run_at_the_same_time(script: Script, environ: dict[str, str]) -> None:
    name = script('read line; sleep 0.2; echo "$line"')
    answers = await asyncio.gather(*(run(name, environ, stdin=b"%d" % n) for n in range(20)))
    assert [int(answer.stdout) for answer in answers] == list(range(20))


async def test_an_exit_code_that_somebody_else_took_is_not_zero(
    script: Script, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    waitpid = os.waitpid

    def taken(pid: int, options: int) -> tuple[int, int]:
        waitpid(pid, options)
        raise ChildProcessError

    monkeypatch.setattr(os, "waitpid", taken)
    assert (await run(script("echo x"), environ)) == Ended(255, b"x\n", b"")


async def test_a_program_that_is_not_there_is_named(environ: dict[str, str]) -> None:
    with pytest.raises(ProgramFailed, match="no-such-helper is not on the PATH"):
        await run("no-such-helper", environ)


async def test_a_program_that_the_system_refuses_to_run_is_named(
    script: Script, environ: dict[str, str]
) -> None:
    with pytest.raises(ProgramFailed, match=r"bin/helper cannot be run: No such file"):
        await run(script("", shebang="#!/no/such/interpreter\n"), environ)


async def test_a_program_that_cannot_be_watched_is_not_left_running(
    script: Script, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(_: int) -> int:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "pidfd_open", forbidden)
    with pytest.raises(ProgramFailed, match="cannot be run: Operation not permitted"):
        await run(script("sleep 60"), environ)


async def test_a_system_without_pidfds_is_told(
    script: Script, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    with pytest.raises(ProgramFailed, match="needs Linux"):
        await run(script("echo x"), environ)


# Docker's config.json and its helpers.

HELPER = f"""read server
echo "$server" >>"$FOLDER/asked"
case $server in
  quay.io) printf '{{"ServerURL":"%s","Username":"robot","Secret":"{SECRET}"}}' "$server";;
  https://index.docker.io/v1/) printf '{{"Username":"<token>","Secret":"{SECRET}"}}';;
  broken.io) echo "{SECRET}";;
  locked.io) echo "{SECRET} is locked"; exit 2;;
  slow.io) exec sleep 60;;
  *) echo "credentials not found in native keychain"; exit 1;;
esac"""


def configured(folder: Path, document: object) -> Path:
    path = folder / ".docker" / "config.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


@pytest.fixture
def helper(script: Script, environ: dict[str, str], tmp_path: Path) -> None:
    assert environ["HOME"] == str(tmp_path)
    script(HELPER, "docker-credential-test")
    configured(tmp_path, {"credsStore": "test", "auths": {"plain.io": {"auth": "YTpi"}, "quay.io": {}}})


@pytest.mark.usefixtures("helper")
async def test_a_helper_is_asked_for_the_registrys_credentials(environ: dict[str, str]) -> None:
    config = DockerConfig(environ)
    assert await config.credentials_for("quay.io") == Credentials(
        serveraddress="quay.io", username="robot", password=SECRET
    )
    assert await config.credentials_for("docker.io") == Credentials(
        serveraddress=DOCKER_HUB, identitytoken=SECRET
    )


@pytest.mark.usefixtures("helper")
async def test_what_the_helper_does_not_know_is_looked_for_in_the_file(environ: dict[str, str]) -> None:
    config = DockerConfig(environ)
    assert await config.credentials_for("plain.io") == Credentials(
        serveraddress="plain.io", username="a", password="b"
    )
    assert await config.credentials_for("unknown.io") is None


@pytest.mark.usefixtures("helper")
@pytest.mark.parametrize(
    ("registry", "told"),
    [
        ("broken.io", "docker-credential-test gave no answer"),
        ("locked.io", "docker-credential-test ended with exit code 2"),
        ("slow.io", r"config\.json names .* docker-credential-test was not done within 0.5 s.* Run `echo"),
    ],
)
async def test_a_broken_helper_is_named_without_its_words(
    environ: dict[str, str], registry: str, told: str
) -> None:
    with pytest.raises(BadOption, match=told) as caught:
        await DockerConfig(environ, helper_timeout=0.5).credentials_for(registry)
    assert SECRET not in str(caught.value)


async def test_a_missing_helper_is_named(environ: dict[str, str], tmp_path: Path) -> None:
    path = configured(tmp_path, {"credHelpers": {"quay.io": "gone"}})
    with pytest.raises(BadOption, match=rf"^{path} names .* docker-credential-gone is not on the PATH"):
        await DockerConfig(environ).credentials_for("quay.io")
    assert await DockerConfig(environ).credentials_for("gcr.io") is None


async def test_without_a_file_there_are_no_credentials(environ: dict[str, str], tmp_path: Path) -> None:
    assert await DockerConfig(environ).credentials_for("quay.io") is None
    (tmp_path / "file").touch()
    assert await DockerConfig({"DOCKER_CONFIG": f"{tmp_path}/file"}).credentials_for("quay.io") is None


async def test_a_user_without_a_home_has_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    assert await DockerConfig({}).credentials_for("quay.io") is None


async def test_docker_config_names_the_folder(environ: dict[str, str], tmp_path: Path) -> None:
    configured(tmp_path, {"auths": {"quay.io": {"auth": "YTpi"}}})
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "config.json").write_text('{"auths": {"quay.io": {"identitytoken": "t"}}}')
    found = await DockerConfig({**environ, "DOCKER_CONFIG": str(elsewhere)}).credentials_for("quay.io")
    assert found == Credentials(serveraddress="quay.io", identitytoken="t")


async def test_a_file_that_changes_counts_at_once(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = DockerConfig(environ)
    path = configured(tmp_path, {"auths": {}})
    assert await config.credentials_for("quay.io") is None
    configured(tmp_path, {"auths": {"quay.io": {"auth": "YTpi"}}})
    assert await config.credentials_for("quay.io") is not None
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", None)
        assert await config.credentials_for("quay.io") is not None
    path.unlink()
    assert await config.credentials_for("quay.io") is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f'{{"auths": {{"quay.io": {{"auth": "{SECRET}" oops', "line 1, column"),
        (f'{{"auths": "{SECRET}\udc80"}}', "not JSON in UTF-8"),
        ("[" * 200_000, "not JSON"),
        (f'["{SECRET}"]', "has to be a JSON object"),
        (f'"{SECRET}{"x" * 2**20}"', "larger than 1048576 bytes"),
        (f'{{"auths": {{"quay.io": {{"auth": "{SECRET}"}}}}}}', "not the base64"),
    ],
    ids=["cut-off", "no-utf-8", "deep", "list", "large", "no-base64"],
)
async def test_a_broken_file_is_named_without_its_text(
    environ: dict[str, str], tmp_path: Path, text: str, told: str
) -> None:
    path = configured(tmp_path, {})
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(BadOption, match=rf"^{path}.*{told}") as caught:
        await DockerConfig(environ).credentials_for("quay.io")
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_a_file_that_cannot_be_read_is_named(environ: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / ".docker" / "config.json"
    path.mkdir(parents=True)
    with pytest.raises(BadOption, match=rf"^{path} cannot be read: Is a directory"):
        await DockerConfig(environ).credentials_for("quay.io")


async def test_only_a_folder_that_was_named_has_to_be_open_to_the_hub(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(_: Path) -> os.stat_result:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", closed)
    assert await DockerConfig(environ).credentials_for("quay.io") is None
    with pytest.raises(BadOption, match=r"^/root/x/config.json cannot be read: Permission denied"):
        await DockerConfig({**environ, "DOCKER_CONFIG": "/root/x"}).credentials_for("quay.io")
