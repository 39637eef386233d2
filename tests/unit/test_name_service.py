"""The name service: a real child process asks, once for all, in time, and what it says is remembered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from asyncdockerspawner.accounts import name_service as module
from asyncdockerspawner.accounts.entries import Account
from asyncdockerspawner.accounts.name_service import NameService, of_this_loop
from asyncdockerspawner.errors import ProgramFailed
from tests.support import guards
from tests.support.waiting import until
from tests.testbed.name_service import NameService as Getent

ALICE = Account(1001, 100, "/home/alice")


@pytest.fixture(autouse=True)
async def no_threads() -> AsyncIterator[None]:
    with guards.no_threads(asyncio.get_running_loop()):
        yield


@pytest.fixture
def getent(name_service: Getent) -> Getent:
    name_service.knows("passwd alice", "alice:x:1001:100::/home/alice:/bin/sh")
    name_service.knows("initgroups alice", "alice                 27 50 100")
    return name_service


@pytest.fixture
def service(getent: Getent) -> NameService:
    return asking(getent)


def asking(getent: Getent, timeout: float = 30.0) -> NameService:
    return NameService(getent.environment, timeout=timeout)


async def test_a_user_is_found_and_remembered(getent: Getent, service: NameService) -> None:
    assert await service.account("alice") == ALICE
    assert await service.account("alice", fresh=True) == ALICE
    assert await service.groups("alice") == (27, 50, 100)
    assert await service.groups("alice") == (27, 50, 100)
    assert getent.asked() == ["passwd alice", "initgroups alice"]


async def test_an_unknown_user_is_remembered_unless_asked_for_anew(
    getent: Getent, service: NameService
) -> None:
    assert await service.account("bob") == Account()
    getent.knows("passwd bob", "bob:x:1002:100::/home/bob:/bin/sh")
    assert await service.account("bob") == Account()
    assert await service.account("bob", fresh=True) == Account(1002, 100, "/home/bob")
    assert await service.account("bob") == Account(1002, 100, "/home/bob")
    assert getent.asked() == ["passwd bob"] * 2


async def test_what_is_remembered_is_forgotten_after_a_while(
    getent: Getent, service: NameService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWERS_LAST", 0.0)
    assert [await service.account("alice") for _ in range(2)] == [ALICE] * 2
    assert len(getent.asked()) == 2


async def test_no_more_is_remembered_than_there_is_room_for(
    getent: Getent, service: NameService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 1)
    for name in ("alice", "bob", "alice"):
        await service.account(name)
    assert getent.asked() == ["passwd alice", "passwd bob", "passwd alice"]


async def test_who_asks_for_the_same_shares_an_answer(getent: Getent, service: NameService) -> None:
    assert await asyncio.gather(*(service.account("alice") for _ in range(20))) == [ALICE] * 20
    assert getent.asked() == ["passwd alice"]


async def test_who_waits_asks_where_the_one_who_asked_gives_up(getent: Getent, service: NameService) -> None:
    getent.behaves(delay=30)
    first = asyncio.create_task(service.account("alice"))
    await until(lambda: len(getent.asked()) == 1)
    others = [asyncio.create_task(service.account("alice")) for _ in range(3)]
    getent.behaves()
    first.cancel()
    assert await asyncio.gather(*others) == [ALICE] * 3
    assert len(getent.asked()) == 2


async def test_a_directory_that_hangs_is_given_up_and_that_is_remembered(getent: Getent) -> None:
    service = asking(getent, timeout=0.3)
    getent.behaves(delay=30)
    for _ in range(2):
        with pytest.raises(ProgramFailed, match=r"getent was not done within 0\.3 s"):
            await service.account("alice", fresh=True)
    assert getent.asked() == ["passwd alice"]


async def test_one_user_who_hangs_holds_up_no_other(getent: Getent, service: NameService) -> None:
    getent.hangs("passwd bob")
    hanging = asyncio.create_task(service.account("bob"))
    await until(lambda: "passwd bob" in getent.asked())
    assert await service.account("alice") == ALICE
    assert not hanging.done()
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging


async def test_more_than_may_ask_at_once_wait_no_longer_than_the_others(
    getent: Getent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 1)
    service = asking(getent, timeout=0.5)
    getent.behaves(delay=30)
    results = await asyncio.gather(*(service.account(f"u{i}") for i in range(3)), return_exceptions=True)
    assert [type(each) for each in results] == [ProgramFailed] * 3
    assert getent.asked()[0] == "passwd u0"


async def test_a_program_that_fails_or_is_not_there_says_so(getent: Getent, service: NameService) -> None:
    getent.behaves(status=7)
    with pytest.raises(ProgramFailed, match=r"ended with 7: it is broken\."):
        await service.account("alice")
    with pytest.raises(ProgramFailed, match="not on the PATH"):
        await NameService({"PATH": str(getent.folder.parent)}).account("alice")


async def test_groups_that_cannot_be_read_are_no_answer(getent: Getent, service: NameService) -> None:
    getent.knows("initgroups alice", "alice staff")
    with pytest.raises(ProgramFailed, match="for the groups"):
        await service.groups("alice")


async def test_names_that_nobody_can_have_start_no_program(getent: Getent, service: NameService) -> None:
    for name in ("", "-s", "../alice"):
        assert await service.account(name) == Account()
        assert await service.groups(name) == ()
    assert getent.asked() == []


async def test_the_machines_own_program_knows_root() -> None:
    service = of_this_loop()
    assert of_this_loop() is service
    assert await service.account("root") == Account(0, 0, "/root")
    assert await service.account("0") == Account()
    assert await service.account("no-such-user-here") == Account()
    assert isinstance(await service.groups("root"), tuple)
