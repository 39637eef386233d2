"""Real users of this machine: whose the files are that their servers write, and who these are inside."""

from __future__ import annotations

import asyncio
import stat
from functools import partial
from pathlib import Path

import jupyterhub
import pytest

from tests.support import inside
from tests.support.hub_api import ServerFailed
from tests.support.hub_site import HubSite, MakeHub, inspected, until
from tests.support.system_users import folder, owner_of
from tests.testbed.name_service import NameService
from tests.testbed.system_users import SystemUsers
from tests.testbed.user_images import ensure_stacks_image

CONFIG = """
c.JupyterHub.spawner_class = "asyncdockerspawner.SystemUserSpawner"
c.SystemUserSpawner.host_homedir_format_string = ""
c.SystemUserSpawner.supplementary_groups = True
c.SystemUserSpawner.passwd_entry = True
c.SystemUserSpawner.notebook_dir = "/"

async def home(spawner):
    import asyncio
    await asyncio.sleep(0.01)
    return {homes!r}.get(spawner.user.name)

def hook(spawner):
    if spawner.user_id < 0:
        return
    spawner.log.info("the hook reads %s", (spawner.user_id, spawner.group_id, spawner.host_homedir))
    if spawner.name == "root":
        spawner.image, spawner.run_as_root, spawner.umask = {stacks!r}, True, "007"

c.SystemUserSpawner.host_home = home
c.SystemUserSpawner.pre_spawn_hook = hook
"""

PLAIN = """
c.JupyterHub.spawner_class = "asyncdockerspawner.SystemUserSpawner"
c.SystemUserSpawner.host_homedir_format_string = ""
"""


async def written(hub: HubSite, user: str, path: str, server: str = "") -> None:
    """Have a user's server write a file."""
    url = f"{hub.api.public_url}user/{user}/{server and server + '/'}api/contents{path}"
    document = {"type": "file", "format": "text", "content": "mine"}
    answer = await hub.api._client.put(url, json=document)
    assert answer.status_code == 201, answer.text


def said(hub: HubSite, name: str, *command: str) -> str:
    """Run a command in a server's container, as the user that it runs as."""
    return " ".join(inside.said(hub.engine, inspected(hub, name)["Id"], *command).split())


async def asked_about(names: NameService, user: str) -> bool:
    return f"passwd {user}" in names.asked()


async def test_files_belong_to_the_systems_users_and_their_groups(
    make_hub: MakeHub,
    singleuser_image: str,
    system_users: SystemUsers,
    name_service: NameService,
    tmp_path: Path,
) -> None:
    lab = system_users.group("lab")
    alice, bob, carol = (system_users.user("alice", lab), *map(system_users.user, ("bob", "carol")))
    name_service.hangs(f"passwd {carol.name}")
    shared, elsewhere = folder(tmp_path / "shared", 0, lab.gid), folder(tmp_path / "b", bob.uid, bob.gid)
    config = CONFIG.format(
        homes={bob.name: str(elsewhere)}, stacks=ensure_stacks_image(jupyterhub.__version__)
    )
    hub = make_hub(
        image=singleuser_image,
        volumes={str(shared): "/shared"},
        config=config,
        environ=name_service.environment,
    )
    await hub.create_users(alice.name, bob.name, carol.name)
    waiting = asyncio.create_task(hub.api.start_server(carol.name))
    await until(partial(asked_about, name_service, carol.name), is_=True, every=0.02)
    # Whoever has to wait for the directory keeps neither the Hub nor others waiting.
    await hub.api.info()
    assert not waiting.done()
    await asyncio.gather(
        hub.api.start_server(alice.name),
        hub.api.start_server(alice.name, "root"),
        hub.api.start_server(bob.name),
    )
    with pytest.raises(ServerFailed, match=f"could not be asked about the user {carol.name}"):
        await waiting
    await written(hub, alice.name, f"/home/{alice.name}/note.txt")
    await written(hub, alice.name, "/shared/ours.txt")
    await written(hub, alice.name, f"/home/{alice.name}/root.txt", server="root")
    await written(hub, bob.name, f"/home/{bob.name}/note.txt")

    assert owner_of(alice.home / "note.txt") == (alice.uid, alice.gid)
    assert owner_of(shared / "ours.txt") == (alice.uid, lab.gid)
    assert owner_of(elsewhere / "note.txt") == (bob.uid, bob.gid)
    assert not list(bob.home.iterdir())
    # The image's start script has become the user, and heeds the umask.
    assert owner_of(alice.home / "root.txt") == (alice.uid, alice.gid)
    assert stat.S_IMODE((alice.home / "root.txt").stat().st_mode) == 0o660
    # The image has no such user.
    assert said(hub, alice.name, "whoami") == alice.name
    assert said(hub, alice.name, "id", "-G") == f"{alice.gid} {lab.gid}"
    assert said(hub, bob.name, "sh", "-c", "cd ~ && pwd") == f"/home/{bob.name}"
    log = hub.process.log_text()
    assert f"the hook reads {(alice.uid, alice.gid, str(alice.home))}" in log
    assert f"the hook reads {(bob.uid, bob.gid, str(elsewhere))}" in log


async def test_a_saved_account_counts_where_the_directory_hangs_after_a_restart_of_the_hub(
    make_hub: MakeHub, system_users: SystemUsers, name_service: NameService
) -> None:
    alice, bob = map(system_users.user, ("alice", "bob"))
    hub = make_hub(config=PLAIN, environ=name_service.environment, remove=False)
    await hub.create_users(alice.name, bob.name)
    await hub.api.start_server(alice.name)
    made = inspected(hub, alice.name)
    await hub.api.stop_server(alice.name)
    hub.process.stop()
    asked = name_service.asked().count(f"passwd {alice.name}")
    for each in (alice, bob):
        name_service.hangs(f"passwd {each.name}")
    hub.process.start()
    await hub.api.start_server(alice.name)
    assert name_service.asked().count(f"passwd {alice.name}") > asked
    again = inspected(hub, alice.name)
    assert again["Id"] == made["Id"]
    assert again["State"]["Running"]
    assert again["Config"]["User"] == f"{alice.uid}:{alice.gid}"
    # Who has never had a server has nothing saved.
    with pytest.raises(ServerFailed, match=f"could not be asked about the user {bob.name}"):
        await hub.api.start_server(bob.name)
