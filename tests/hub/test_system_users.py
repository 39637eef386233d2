"""Real users of this machine: whose the files are that their servers write, and who these are inside."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import jupyterhub

from tests.support import inside
from tests.support.hub_site import HubSite, MakeHub, inspected
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
    spawner.log.info("the hook reads %s", (spawner.user_id, spawner.group_id, spawner.host_homedir))
    if spawner.name == "root":
        spawner.image, spawner.run_as_root, spawner.umask = {stacks!r}, True, "007"

c.SystemUserSpawner.host_home = home
c.SystemUserSpawner.pre_spawn_hook = hook
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


def owner_of(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_uid, found.st_gid


async def test_files_belong_to_the_systems_users_and_their_groups(
    make_hub: MakeHub, singleuser_image: str, system_users: SystemUsers, tmp_path: Path
) -> None:
    lab = system_users.group("lab")
    alice, bob = system_users.user("alice", lab), system_users.user("bob")
    shared, elsewhere = folder(tmp_path / "shared", 0, lab.gid), folder(tmp_path / "b", bob.uid, bob.gid)
    config = CONFIG.format(
        homes={bob.name: str(elsewhere)}, stacks=ensure_stacks_image(jupyterhub.__version__)
    )
    hub = make_hub(image=singleuser_image, volumes={str(shared): "/shared"}, config=config)
    await hub.create_users(alice.name, bob.name)
    await asyncio.gather(
        hub.api.start_server(alice.name),
        hub.api.start_server(alice.name, "root"),
        hub.api.start_server(bob.name),
    )
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


def folder(path: Path, uid: int, gid: int) -> Path:
    """Make a folder that its owner and its group alone may use, and whose files are the group's."""
    path.mkdir()
    os.chown(path, uid, gid)
    path.chmod(0o2770)
    return path
