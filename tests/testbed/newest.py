"""The newest Docker Engine that Debian has, beside the machine's own, for tests that are to hold on both.

Its packages are unpacked into the cache and nothing is installed. Its dockerd has a mount namespace, in which
/usr is the unpacked one, and a network namespace, so that neither Engine meets the other's bridges, ports and
packet filter. All of that is gone when dockerd ends; its images stay in the cache. What talks to its servers
runs in its network too: `python -m tests.testbed run COMMAND`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.testbed import apt
from tests.testbed.engine import (
    GONE_WITHIN,
    READY_WITHIN,
    EngineHandle,
    dockerd_of,
    ensure_engine,
    environment,
    find_engine_at,
    start_dockerd,
)
from tests.testbed.images import copy_image, recipe_hash
from tests.testbed.steps import TestbedError, cache_dir, lock, run, say, step, wait_until

SUITES = ("forky", "trixie")
"""Of Debian, the newest first; Engine 29 is in none."""
PACKAGES = ("docker.io", "crun", "iptables", "procps", "base-files")
NEW_ENOUGH = 28
"""A machine whose own Engine has this major version or a later one needs no other."""
BOOT = """
ip link set lo up
mkdir -p /run/containerd
mount -t tmpfs tmpfs /run/containerd  # else dockerd takes the machine's containerd
mount --bind "$1" /usr
shift
exec "$@"
"""
"""What becomes dockerd, once it is in its namespaces."""


def obstacle() -> str:
    """Why no newer Engine can run here beside the machine's; "" where one can."""
    if os.environ.get("DOCKER_HOST"):
        return "DOCKER_HOST names the Engine to use"
    if os.geteuid() != 0:
        return "only root may start another one"
    if apt.os_release().get("ID") != "debian" or not Path("/bin").is_symlink():
        return "it is taken from Debian's archive, and this is not Debian 12 or later"
    return ""


def ensure_newest_engine(images: Sequence[str] = ()) -> EngineHandle:
    """The newest Engine that can be had here, with these images of the machine's own Engine.

    That is the machine's own where it is new, or where there can't be another, which is said.
    """
    own = ensure_engine()
    why = obstacle()
    if why:
        say(f"* no newer Engine beside {own.version}, which all tests use then: {why}")
        return own
    if int(own.version.partition(".")[0]) >= NEW_ENOUGH:
        return own
    with lock("newest"):
        engine = _running()
        if engine is None:
            if not _is_unpacked():
                unpack()
            engine = _start()
        for image in images:
            copy_image(image, own, engine)
    return engine


def ensure_unpacked() -> Path | None:
    """The /usr of the newest Engine that Debian has; None where the machine's own is to be taken."""
    if int(ensure_engine().version.partition(".")[0]) >= NEW_ENOUGH:
        return None
    with lock("newest"):
        if not _is_unpacked():
            # Nothing may run from what is about to be unpacked anew.
            stop_newest_engine()
            unpack()
        return _folder() / suite() / "usr"


def find_newest_engine() -> EngineHandle | None:
    """The newer Engine, if it runs."""
    return find_engine_at(url()) if pid() is not None else None


def stop_newest_engine() -> bool:
    """End the newer Engine and its containers; what is unpacked and its images stay. Says whether it ran."""
    with lock("newest"):
        found = pid()
        if found is None:
            return False
        with step(f"stopping the newer Docker Engine (process {found})"):
            os.kill(found, signal.SIGTERM)
            if not wait_until(lambda: pid() is None, GONE_WITHIN):
                raise TestbedError(f"dockerd (process {found}) did not end; log: {_log()}")
        for place in cgroups():
            with contextlib.suppress(OSError):
                place.rmdir()
        return True


def command_beside(engine: EngineHandle, command: Sequence[str]) -> list[str]:
    """The command that runs another where the Engine's published ports are on 127.0.0.1."""
    if engine.url != url():
        return list(command)
    return ["nsenter", f"--net=/proc/{pid()}/ns/net", "--", *command]


def url() -> str:
    """As in DOCKER_HOST."""
    return f"unix://{_folder()}/docker.sock"


def cgroup() -> str:
    """The cgroup that its containers are in; another one for another cache."""
    return f"newest-engine-{recipe_hash(str(_folder()))[:8]}"


def cgroups() -> list[Path]:
    """Where that cgroup is, in whichever hierarchies the machine has."""
    # os.walk takes no offence at the folders of other containers that vanish meanwhile; glob does.
    return [Path(folder, cgroup()) for folder, inside, _ in os.walk("/sys/fs/cgroup") if cgroup() in inside]


def pid() -> int | None:
    """The process of its dockerd, if that runs."""
    return dockerd_of(_folder() / "dockerd.pid")


def suite() -> str:
    """The suite of Debian that is unpacked; "" where none is."""
    return next((each for each in SUITES if (_folder() / each).exists()), "")


def _log() -> Path:
    return _folder() / "dockerd.log"


def _folder() -> Path:
    return cache_dir("testbed", "newest")


def recipe() -> str:
    """A short name for what is unpacked."""
    return recipe_hash(*SUITES, *PACKAGES, BOOT)


def _running() -> EngineHandle | None:
    """The one that runs; it is ended where it was made by another recipe."""
    if pid() is None:
        return None
    if not _is_unpacked():
        stop_newest_engine()
        return None
    if not wait_until(lambda: find_newest_engine() is not None, READY_WITHIN):
        raise TestbedError(f"The newer dockerd (process {pid()}) does not answer; log: {_log()}")
    return find_newest_engine()


def _is_unpacked() -> bool:
    made_by = _folder() / "recipe"
    return made_by.exists() and made_by.read_text() == recipe()


def unpack() -> None:
    """Unpack the first suite that can be had into a folder of its name."""
    if shutil.which("ip", path=environment()["PATH"]) is None:
        apt.install("iproute2", purpose="the newer Docker Engine")
    for suite in SUITES:
        shutil.rmtree(_folder() / suite, ignore_errors=True)
    for suite in SUITES:
        try:
            with (
                step(f"unpacking the Docker Engine of Debian {suite} (half a minute, once)"),
                tempfile.TemporaryDirectory(dir=_folder()) as folder,
            ):
                tree = Path(folder, suite)
                apt.unpack_of_suite(suite, PACKAGES, tree)
                for name in ("iptables", "ip6tables"):
                    # what the package's own script would do
                    (tree / "usr/sbin" / name).symlink_to(f"{name}-{_filter()}")
                tree.rename(_folder() / suite)
        except TestbedError as error:
            say(f"  {error}")
        else:
            (_folder() / "recipe").write_text(recipe())
            return
    raise TestbedError(f"No newer Docker Engine can be had from Debian {' or '.join(SUITES)}.")


def _filter() -> str:
    """The packet filter that this machine's own iptables speaks to: `nft` or `legacy`."""
    told = run(["iptables", "--version"], env=environment())
    return "legacy" if "legacy" in told else "nft"


def _start() -> EngineHandle:
    folder = _folder()
    (folder / "dockerd.pid").unlink(missing_ok=True)
    (folder / "daemon.json").write_text("{}")  # not the machine's
    daemon = [
        "dockerd",
        f"--config-file={folder}/daemon.json",
        f"--data-root={folder}/data",
        f"--exec-root={folder}/exec",
        f"--pidfile={folder}/dockerd.pid",
        f"--host={url()}",
        "--exec-opt=native.cgroupdriver=cgroupfs",
        f"--cgroup-parent=/{cgroup()}",
    ]
    usr = str(folder / suite() / "usr")
    with step(f"starting it (log: {_log()})"):
        command = ["unshare", "--net", "--mount", "sh", "-ec", BOOT, "sh", usr, *daemon]
        return start_dockerd(command, url(), _log())
