"""Names in every script reach the Engine escaped, and their servers answer under their own addresses."""

from __future__ import annotations

import asyncio

import jupyterhub
import pytest

from tests.support.hub_site import MakeHub

USER = "has@cäps-1"
ESCAPED_USER = "has-40c-c3-a4ps-2d1"
# JupyterHub 6 takes only server names that could be host names.
SERVER, ESCAPED_SERVER = (
    ("caps-1", "caps-2d1") if jupyterhub.version_info >= (6, 0) else ("Has@Cäps-1", "has-40c-c3-a4ps-2d1")
)


@pytest.mark.hub_5
async def test_servers_of_any_name_answer_under_their_own_address(
    make_hub: MakeHub, singleuser_image: str
) -> None:
    hub = make_hub(image=singleuser_image)
    await hub.create_users(USER)
    await asyncio.gather(hub.api.start_server(USER), hub.api.start_server(USER, SERVER))
    assert hub.names() == [ESCAPED_USER, f"{ESCAPED_USER}--{ESCAPED_SERVER}"]
    assert "started" in await hub.status(USER)
    assert "started" in await hub.status(USER, SERVER)
    labels = {one["Labels"]["asyncdockerspawner.server"] for one in hub.containers()}
    assert labels == {"", SERVER}
    assert {one["Labels"]["asyncdockerspawner.user"] for one in hub.containers()} == {USER}
    await asyncio.gather(hub.api.stop_server(USER), hub.api.stop_server(USER, SERVER))
    await hub.nothing_left()


async def test_a_volume_is_named_after_the_escaped_user(make_hub: MakeHub) -> None:
    hub = make_hub(
        volumes={"{prefix}-{username}": "/home/jovyan/work", "{prefix}-{username}-{servername}": "/home/own"}
    )
    await hub.create_users(USER)
    await hub.api.start_server(USER, SERVER)
    base = f"{hub.prefix}-{ESCAPED_USER}"
    assert sorted(hub.volumes()) == [base, f"{base}-{ESCAPED_SERVER}"]
    await hub.api.stop_server(USER, SERVER)
    await hub.nothing_left()
    assert sorted(hub.volumes()) == [base, f"{base}-{ESCAPED_SERVER}"]
