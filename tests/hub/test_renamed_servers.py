"""JupyterHub 6 gives servers other names: their files stay, and their containers follow."""

from __future__ import annotations

import jupyterhub
import pytest

from tests.support.hub_site import HubSite, MakeHub, new_hub_id, prefix_of

RENAMES = jupyterhub.version_info[0] >= 6


async def renamed(hub: HubSite, **options: object) -> int:
    """Ask the Hub to call alice's stopped server `old` `new`; gives the status."""
    answer = await hub.api._send("PATCH", "users/alice/servers/old", {"name": "new", **options})
    return answer.status_code


def volume(hub_id: str) -> dict[str, str]:
    return {f"{prefix_of(hub_id)}-{{username}}-{{servername}}": "/home/work"}


@pytest.mark.hub_5
async def test_a_renamed_server_finds_its_files(make_hub: MakeHub) -> None:
    hub_id = new_hub_id()
    hub = make_hub(hub_id=hub_id, volumes=volume(hub_id), remove=False, on_drift="recreate")
    await hub.create_users("alice")
    await hub.api.start_server("alice", "old")
    await hub.api.stop_server("alice", "old")
    before = hub.volumes()
    if not RENAMES:
        # JupyterHub 5 has no such request, and the server goes on as it was.
        assert await renamed(hub) in {404, 405}
        await hub.api.start_server("alice", "old")
        assert hub.volumes() == before
        return
    assert await renamed(hub) == 200
    await hub.api.start_server("alice", "new")
    assert await hub.answers("alice", "new")
    assert hub.volumes() == before
    assert hub.names()[0] == "alice--new"
    await hub.api.stop_server("alice", "new")
    await hub.api.start_server("alice", "new")
    assert hub.volumes() == before


async def test_a_server_whose_container_must_stay_keeps_its_name(make_hub: MakeHub) -> None:
    hub = make_hub(remove=False, on_drift="reuse")
    await hub.create_users("alice")
    await hub.api.start_server("alice", "old")
    await hub.api.stop_server("alice", "old")
    assert await renamed(hub) in ({409} if RENAMES else {404, 405})
    await hub.api.start_server("alice", "old")
    assert hub.names() == ["alice--old"]
