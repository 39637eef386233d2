"""Accounts for tests leave nothing behind, and the stand-in for getent answers as it is told."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.testbed.name_service import NameService
from tests.testbed.steps import lock
from tests.testbed.system_users import LOCK, SystemUsers, records, sweep

ROOT = Path(__file__).resolve().parents[2]
KILLED = """
import sys, time
from pathlib import Path
from tests.testbed.system_users import system_users

with system_users(Path(sys.argv[1])) as users:
    print("MADE", users.user("alice", users.group("lab")).name, flush=True)
    time.sleep(60)
"""


def accounts() -> set[str]:
    """The names of all users and groups of this machine's files."""
    return {each.pw_name for each in pwd.getpwall()} | {each.gr_name for each in grp.getgrall()}


def tells_of(record: Path, name: str) -> bool:
    """Whether the account is written down there; other runs remove theirs at any time."""
    with contextlib.suppress(FileNotFoundError):
        return name in record.read_text()
    return False


def test_a_user_has_home_number_and_groups(system_users: SystemUsers) -> None:
    lab = system_users.group("lab")
    alice, bob = system_users.user("alice", lab), system_users.user("bob")
    found = pwd.getpwnam(alice.name)
    assert (found.pw_uid, found.pw_gid, found.pw_dir) == (alice.uid, alice.gid, str(alice.home))
    assert os.getgrouplist(alice.name, alice.gid) == [alice.gid, lab.gid]
    assert os.getgrouplist(bob.name, bob.gid) == [bob.gid]
    told = alice.home.stat()
    assert (told.st_uid, told.st_gid, told.st_mode & 0o777) == (alice.uid, alice.gid, 0o700)


@pytest.mark.usefixtures("system_users")
def test_what_a_killed_run_has_left_is_removed_by_the_next(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        name = next(line for line in killed.stdout if line.startswith("MADE ")).split()[1]
        made = {name, name.replace("alice", "lab")}
        assert made <= accounts()
        sweep()
        assert made <= accounts(), "a run that goes on keeps its own"
        # Another run of the tests would sweep it first.
        with lock(LOCK):
            killed.send_signal(signal.SIGKILL)
            killed.wait()
            (left,) = [path for path in records().glob("*.json") if tells_of(path, name)]
            with left.open("a") as record:
                record.write(f'["user", "{pwd.getpwuid(0).pw_name}", 4711]\n["group", "broken')
    sweep()
    assert made.isdisjoint(accounts())
    assert pwd.getpwuid(0).pw_name in accounts(), "one of that name and another number is somebody else's"
    assert not left.exists()


def test_the_stand_in_answers_as_it_is_told(name_service: NameService) -> None:
    def asked(*words: str) -> tuple[int, str]:
        environment = {**os.environ, **name_service.environment}
        ended = subprocess.run(["getent", *words], env=environment, stdout=subprocess.PIPE, check=False)
        return ended.returncode, ended.stdout.decode()

    assert asked("passwd", "root")[1].startswith("root:")
    name_service.knows("passwd ada", "ada:x:7001:7002:Ada L.:/people/ada:/bin/sh")
    assert asked("passwd", "ada") == (0, "ada:x:7001:7002:Ada L.:/people/ada:/bin/sh\n")
    assert asked("passwd", "nobody-of-this-name") == (2, "")
    name_service.behaves(status=1)
    assert asked("passwd", "ada") == (1, "")
    name_service.behaves(delay=0.2)
    began = time.monotonic()
    assert asked("initgroups", "root")[0] == 0
    assert time.monotonic() - began >= 0.2
    assert name_service.asked()[1:3] == ["passwd ada", "passwd nobody-of-this-name"]
