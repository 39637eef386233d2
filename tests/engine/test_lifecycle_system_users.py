"""Servers of the system's users: in whose name they run, who is asked, and who is held up by nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asyncdockerspawner import DockerSpawner, SystemUserSpawner
from asyncdockerspawner.accounts import name_service as module
from tests.support.site import Site
from tests.support.waiting import until
from tests.support.world import World, new_world
from tests.testbed.name_service import NameService
from tests.testbed.user_images import ensure_userless_image

ON_THE_FAKE = pytest.mark.parametrize("site", ["fake"], indirect=True)
"""What the Engine has no part in."""
MakeUser = Callable[..., World]


@pytest.fixture
def directory(name_service: NameService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NameService:
    """The name service of the Hub in this test, which knows alice and bob."""
    for name, uid in (("alice", 71001), ("bob", 71002)):
        home = tmp_path / "homes" / name
        home.mkdir(parents=True)
        home.chmod(0o777)
        name_service.knows(f"passwd {name}", f"{name}:x:{uid}:71000::{home}:/bin/sh")
    monkeypatch.setenv("PATH", name_service.environment["PATH"])
    return name_service


def homes(folder: Path) -> list[str]:
    return sorted(each.name for each in (folder / "homes").iterdir())


@pytest.fixture
def make_user(site: Site, tmp_path: Path, directory: NameService) -> MakeUser:
    """Give a Hub of one user, whose home is what the name service says."""

    def made(username: str = "alice", cls: type[DockerSpawner] = SystemUserSpawner, **options: Any) -> World:
        folder = tmp_path / username
        folder.mkdir(exist_ok=True)
        options = {"host_homedir_format_string": "", **options}
        world = new_world(site, folder, username=username, **options)
        world.settings["spawner_class"] = cls
        return world

    return made


async def test_a_server_runs_as_its_user_in_the_users_home(
    make_user: MakeUser, site: Site, directory: NameService, tmp_path: Path
) -> None:
    directory.knows("initgroups alice", "alice                 71005 71009")
    seen = dict[str, Any]()

    def hook(spawner: SystemUserSpawner) -> None:
        seen["ids"] = (spawner.user_id, spawner.group_id)
        seen["homes"] = (spawner.homedir, spawner.host_homedir)

    world = make_user(supplementary_groups=True, pre_spawn_hook=hook)
    spawner = await world.spawn()
    home = f"{tmp_path}/homes/alice"
    assert seen == {"ids": (71001, 71000), "homes": ("/home/alice", home)}
    found = site.inspect(spawner.object_id)
    assert (found["Config"]["User"], found["Config"]["WorkingDir"]) == ("71001:71000", "/home/alice")
    assert found["HostConfig"]["GroupAdd"] == ["71005", "71009"]
    assert {"HOME=/home/alice", "NB_UID=71001", "NB_GID=71000", "NB_USER=alice"} <= set(
        found["Config"]["Env"]
    )
    assert [each["Source"] for each in found["Mounts"] if each["Destination"] == "/home/alice"] == [home]
    await world.user.stop("")
    assert world.spawner().orm_spawner.state["user_id"] == 71001


@ON_THE_FAKE
async def test_an_auth_state_hook_reads_who_the_user_is_now(
    make_user: MakeUser, directory: NameService, tmp_path: Path
) -> None:
    seen = list[Any]()

    def hook(spawner: SystemUserSpawner, auth_state: Any) -> None:
        seen.append((spawner.user_id, spawner.group_id, spawner.host_homedir))

    home = f"{tmp_path}/homes/alice"
    world = make_user(auth_state_hook=hook)
    await world.spawn()
    # The rest of the spawn does not ask again.
    assert directory.asked() == ["passwd alice"]
    await world.user.stop("")
    directory.knows("passwd alice", f"alice:x:72222:72000::{home}:/bin/sh")
    module._of_loops.clear()
    # A form is given after it, outside of a spawn.
    await world.spawner().run_auth_state_hook(None)
    directory.behaves(status=1)
    module._of_loops.clear()
    await world.spawn()
    before, now = (71001, 71000, home), (72222, 72000, home)
    # Where the directory is away, it is the last spawn's.
    assert seen == [before, now, before]
    assert directory.asked() == ["passwd alice"] * 3
    await world.user.stop("")


@ON_THE_FAKE
async def test_an_auth_state_hook_may_make_the_user_and_have_what_functions_need(
    make_user: MakeUser, site: Site, directory: NameService, tmp_path: Path
) -> None:
    def makes(spawner: SystemUserSpawner, auth_state: Any) -> None:
        directory.knows("passwd carol", f"carol:x:71003:71000::{tmp_path}/homes/bob:/bin/sh")

    carol = make_user("carol", auth_state_hook=makes)
    found = site.inspect((await carol.spawn()).object_id)
    assert found["Config"]["User"] == "71003:71000"
    await carol.user.stop("")

    def has(spawner: SystemUserSpawner, auth_state: Any) -> None:
        assert spawner.user_id == -1
        spawner.of_the_hook = 71005

    alice = make_user(auth_state_hook=has, user_id=lambda spawner: spawner.of_the_hook)
    found = site.inspect((await alice.spawn()).object_id)
    assert found["Config"]["User"] == "71005:71000"
    await alice.user.stop("")


@ON_THE_FAKE
async def test_a_user_who_was_known_is_started_while_the_directory_is_away(
    make_user: MakeUser, site: Site, directory: NameService, log: pytest.LogCaptureFixture
) -> None:
    world = make_user()
    await world.spawn()
    await world.user.stop("")
    directory.behaves(status=1)
    module._of_loops.clear()
    world = world.restarted()
    spawner = await world.spawn()
    assert site.inspect(spawner.object_id)["Config"]["User"] == "71001:71000"
    assert "known of the user from an earlier spawn" in log.text
    await world.user.stop("")


@ON_THE_FAKE
async def test_one_users_hanging_directory_holds_up_no_other_user(
    make_user: MakeUser, directory: NameService
) -> None:
    # On a slow machine too, it hangs for longer than the other one takes.
    module._of_loops[asyncio.get_running_loop()] = module.NameService(timeout=120)
    directory.hangs("passwd alice")
    alice = make_user()
    waiting = asyncio.create_task(alice.spawn())
    await until(lambda: "passwd alice" in directory.asked())
    bob = make_user("bob")
    await bob.spawn()
    assert not waiting.done()
    await bob.user.stop("")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


@ON_THE_FAKE
async def test_a_hook_that_reads_a_home_is_told_that_the_directory_is_away(
    make_user: MakeUser, directory: NameService, log: pytest.LogCaptureFixture
) -> None:
    directory.behaves(status=1)
    with pytest.raises(Exception, match="The home of the user is not known"):
        await make_user(pre_spawn_hook=lambda spawner: spawner.host_homedir).spawn()
    assert "set `host_home`. The program getent ended with 1: it is broken" in log.text


@ON_THE_FAKE
async def test_an_unknown_user_reads_so_and_the_log_has_the_ways_out(
    make_user: MakeUser, site: Site, log: pytest.LogCaptureFixture
) -> None:
    world = make_user("nobody-of-this-name")
    with pytest.raises(Exception, match="does not know the user nobody-of-this-name"):
        await world.spawn()
    assert "There are three ways out" in log.text
    assert site.containers() == []


@pytest.mark.parametrize("site", ["real"], indirect=True)
async def test_the_user_has_a_name_inside_at_each_start_if_that_is_asked_for(
    make_user: MakeUser, site: Site
) -> None:
    world = make_user(passwd_entry=True, image=ensure_userless_image(), remove=False)
    for _ in range(2):
        spawner = await world.spawn()
        said = await spawner.engine.client.execs.run(spawner.object_id, ["whoami"], timeout=30)
        assert (said.code, said.stdout) == (0, "alice")
        await world.user.stop("")


@pytest.mark.parametrize("name", [r"corp\alice", "alice@corp.example"])
async def test_users_of_active_directory_have_homes_by_their_names(
    make_user: MakeUser, site: Site, directory: NameService, tmp_path: Path, name: str
) -> None:
    home = tmp_path / "homes" / name
    home.mkdir()
    directory.knows(f"passwd {name}", rf"CORP\alice:x:71005:71000::{home}:/bin/sh")
    world = make_user(name, host_homedir_format_string=f"{tmp_path}/homes/{{username}}", passwd_entry=True)
    found = site.inspect((await world.spawn()).object_id)
    assert found["Config"]["User"] == "71005:71000"
    assert (str(home), f"/home/{name}") in {(each["Source"], each["Destination"]) for each in found["Mounts"]}
    await world.user.stop("")


async def test_a_home_that_is_not_there_is_told_with_what_to_do(
    make_user: MakeUser, site: Site, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    missing = f"{tmp_path}/homes/carol"
    with pytest.raises(Exception, match=f"home {missing} does not exist"):
        await make_user(host_home=missing).spawn()
    assert "mkhomedir_helper" in log.text
    assert site.containers() == []
    assert homes(tmp_path) == ["alice", "bob"]


async def test_as_root_a_home_that_is_not_there_is_left_to_the_image(
    make_user: MakeUser, site: Site, tmp_path: Path
) -> None:
    missing = f"{tmp_path}/homes/carol"
    world = make_user(host_home=missing, run_as_root=True)
    found = site.inspect((await world.spawn()).object_id)
    assert found["Config"]["User"] == "0"
    assert f"{missing}:/home/alice:rw" in found["HostConfig"]["Binds"]
    await world.user.stop("")


@pytest.mark.parametrize(
    ("mapping", "told"),
    [
        (("userns", {}), "has userns-remap"),
        (("userns", {"userns_mode": "host"}), ""),
        (("rootless", {}), "is rootless"),
        (("rootless", {"userns_mode": "host"}), "is rootless"),
    ],
    ids=["userns-remap", "userns-remap, and not", "rootless", "rootless all the same"],
)
@ON_THE_FAKE
async def test_an_engine_with_other_ids_is_told_once(
    make_user: MakeUser, site: Site, log: pytest.LogCaptureFixture, mapping: tuple[str, Any], told: str
) -> None:
    assert site.fake is not None
    name, host = mapping
    site.fake.map_ids(name)
    world = make_user(extra_host_config=host)
    for _ in range(2):
        await world.spawn()
        await world.user.stop("")
    assert log.text.count("cannot use their users' homes") == bool(told)
    assert told in log.text
    # The start slots ask it too.
    assert len(site.fake.requests("GET", "/info")) <= 2


@pytest.mark.parametrize("status", [403, 500])
@ON_THE_FAKE
async def test_an_engine_that_does_not_say_whether_ids_are_others_costs_nothing(
    make_user: MakeUser, site: Site, status: int
) -> None:
    assert site.fake is not None
    site.fake.rule("GET", "^/info", status=status)
    world = make_user(concurrent_starts=4)
    for _ in range(2):
        await world.spawn()
        await world.user.stop("")


@ON_THE_FAKE
async def test_a_subclass_may_say_in_its_start_who_the_user_is(
    make_user: MakeUser, site: Site, tmp_path: Path
) -> None:
    class Knows(SystemUserSpawner):
        async def start(self) -> tuple[str, int]:  # type: ignore[override]
            self.user_id, self.group_id, self.host_home = 71003, 71003, f"{tmp_path}/homes/bob"
            return await super().start(extra_create_kwargs={"hostname": "h"})

    world = make_user("nobody-of-this-name", Knows)
    spawner = await world.spawn()
    found = site.inspect(spawner.object_id)["Config"]
    assert (found["User"], found["Hostname"]) == ("71003:71003", "h")
    await world.user.stop("")


@ON_THE_FAKE
async def test_a_uid_of_a_subclasss_start_is_no_change_until_it_is_another(
    make_user: MakeUser, log: pytest.LogCaptureFixture
) -> None:
    class Knows(SystemUserSpawner):
        uid = 71003

        async def start(self) -> tuple[str, int]:  # type: ignore[override]
            self.user_id = self.uid
            return await super().start()

    world = make_user(cls=Knows)
    for _ in range(2):
        assert (await world.spawn()).get_state()["user_id"] == 71003
        await world.user.stop("")
        world = world.restarted()
    assert "The uid of alice" not in log.text
    Knows.uid = 71004
    await world.spawn()
    assert log.text.count("The uid of alice is 71004 now, and was 71003") == 1
    await world.user.stop("")


@ON_THE_FAKE
async def test_a_kept_container_is_resumed_with_its_account(make_user: MakeUser, site: Site) -> None:
    world = make_user(remove=False, on_drift="recreate")
    first = (await world.spawn()).object_id
    await world.user.stop("")
    assert (await world.spawn()).object_id == first
    await world.user.stop("")


@pytest.mark.parametrize("on_drift", ["warn", "reuse"])
@pytest.mark.parametrize("before", ["uid", "groups", "root"])
@ON_THE_FAKE
async def test_a_kept_container_of_another_account_is_never_started_again(
    make_user: MakeUser, site: Site, directory: NameService, on_drift: str, before: str
) -> None:
    assert site.fake is not None
    options = {"supplementary_groups": [71009]} if before == "groups" else {}
    world = make_user(remove=False, on_drift=on_drift, run_as_root=before == "root", **options)
    first = (await world.spawn()).object_id
    site.fake.set_changes(first, [{"Path": "/home", "Kind": 0}, {"Path": "/home/mine", "Kind": 1}])
    await world.user.stop("")
    config = world.settings["config"].DockerSpawner
    config.run_as_root, config.supplementary_groups = False, []
    if before == "uid":
        line = directory.folder.parent / "homes" / "alice"
        directory.knows("passwd alice", f"alice:x:72222:71000::{line}:/bin/sh")
        module._of_loops.clear()
    spawner = await world.restarted().spawn()
    found = site.inspect(spawner.object_id)
    assert spawner.object_id != first
    assert found["Config"]["User"] == ("72222:71000" if before == "uid" else "71001:71000")
    assert not found["HostConfig"]["GroupAdd"]
    # Its user's files are not lost.
    assert site.inspect(first)["Name"] == f"/{spawner.object_name}-kept-{first[:12]}"
    await spawner.user.stop("")


@ON_THE_FAKE
async def test_a_container_that_dockerspawner_has_kept_is_started_again_as_its_account_alone(
    make_user: MakeUser, site: Site, log: pytest.LogCaptureFixture
) -> None:
    world = make_user(remove=False)
    spawner = await world.spawn()
    name, made = spawner.object_name, site.inspect(spawner.object_id)
    await world.user.stop("")
    kept = list[str]()
    for user in ("71001:71000", "72222:71000"):
        await spawner.engine.client.containers.remove(spawner.object_id, force=True)
        config = {key: made["Config"][key] for key in ("Image", "Env", "Cmd", "ExposedPorts")}
        body = {**config, "User": user, "HostConfig": made["HostConfig"]}
        kept.append(await spawner.engine.client.containers.create(name, body))
        state = {"object_id": kept[-1], "object_name": name, "user_id": 71001, "group_id": 71000}
        world.spawner().orm_spawner.state = state
        world = world.restarted()
        spawner = await world.spawn()
        assert (spawner.object_id == kept[-1]) == (user == "71001:71000")
        await world.user.stop("")
    assert "to run as 72222:71000" in log.text
