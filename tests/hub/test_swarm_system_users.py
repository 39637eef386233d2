"""Services of real system users on a real swarm, as in the manual: their files are theirs on every node."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.support.hub_site import SHELL, MakeHub
from tests.support.swarm_hub import node_of, nothing_left, said_in
from tests.support.system_users import folder, owner_of
from tests.testbed.swarm import Swarm
from tests.testbed.system_users import SystemUsers

pytestmark = pytest.mark.timeout(300)

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()
EXAMPLE = "".join(re.findall(r"<!-- system-users: \S+ -->\n```python\n(.+?)```", README, re.DOTALL))
PINNED = """
c.SwarmSpawner.extra_placement_spec = lambda spawner: {
    "constraints": [f"node.hostname=={'worker' if spawner.user.name.endswith('alice') else 'manager'}"]
}
"""


async def test_their_files_are_theirs_on_every_node(
    make_hub: MakeHub, swarm: Swarm, system_users: SystemUsers, tmp_path: Path
) -> None:
    lab = system_users.group("lab")
    alice, bob = system_users.user("alice", lab), system_users.user("bob", lab)
    shared = folder(tmp_path / "shared", 0, lab.gid)
    example = EXAMPLE.replace("/export/home", str(system_users.homes))
    hub = make_hub(swarm=swarm, config=example + PINNED, volumes={str(shared): "/shared"})
    await hub.create_users(alice.name, bob.name)
    await asyncio.gather(hub.api.start_server(alice.name), hub.api.start_server(bob.name))
    for user, node in ((alice, swarm.worker), (bob, swarm.manager)):
        assert node_of(hub, swarm, user.name).name == node.name
        command = (
            f"id -un; pwd; echo $HOME; id -u; id -g; id -G; touch ~/kept /shared/{user.name}; ls /shared"
        )
        name, home, *told = said_in(hub, swarm, user.name, *SHELL, command).split()
        assert name == user.name
        assert [home, *told[:3]] == [f"/home/{user.name}"] * 2 + [str(user.uid), str(user.gid)]
        assert {str(user.gid), str(lab.gid), user.name} <= set(told)
        assert owner_of(user.home / "kept") == (user.uid, user.gid)
        assert owner_of(shared / user.name) == (user.uid, lab.gid)
    for user in (alice, bob):
        await hub.api.stop_server(user.name)
    await nothing_left(hub)
