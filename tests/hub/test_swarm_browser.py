"""What a user sees in a real browser of a swarm that has no place for a server, or cannot run it there."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.support.browsing import Picture, log_in, page, picture
from tests.support.hub_site import AT_ONCE, MakeHub
from tests.support.swarm_hub import nothing_left
from tests.testbed.swarm import Swarm

__all__ = ["page", "picture"]

SEEN_WITHIN = 10_000
"""Milliseconds from the click to the reason."""


@pytest.fixture
def full_network(swarm: Swarm) -> Iterator[str]:
    """A network whose only address is taken."""
    name = f"t{uuid.uuid4().hex[:8]}"
    network = {"Name": name, "Driver": "overlay", "IPAM": {"Config": [{"Subnet": "10.83.0.0/30"}]}}
    made = swarm.http.post("/networks/create", json=network).raise_for_status().json()["Id"]
    template = {"ContainerSpec": {"Image": swarm.stub}, "Networks": [{"Target": name}]}
    taker = {"Name": name, "TaskTemplate": template, "EndpointSpec": {"Mode": "dnsrr"}}
    swarm.http.post("/services/create", json=taker).raise_for_status()
    yield name
    swarm.http.delete(f"/services/{name}").raise_for_status()
    swarm.sweep_network(made)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mem_guarantee": "1T"}, "insufficient resources on 2 nodes"),
        ({"image": "no-such-image:1"}, "its image cannot be had there"),
        ({"volumes": {"/no/such/path": "/data"}}, "a path that is mounted does not exist there"),
    ],
    ids=["no-node", "no-image", "no-path"],
)
async def test_why_a_server_does_not_start_is_on_its_users_page(
    make_hub: MakeHub, swarm: Swarm, page: Page, *, picture: Picture, options: dict[str, Any], words: str
) -> None:
    hub = make_hub(swarm=swarm, config=AT_ONCE, **options)
    await log_in(page, hub, "alice")
    await expect(page.get_by_text(words).first).to_be_visible(timeout=SEEN_WITHIN)
    await picture("seen")
    if (await hub.api.user("alice"))["servers"]:
        await hub.api.stop_server("alice")
    await nothing_left(hub)


async def test_a_network_without_addresses_is_on_its_users_page(
    make_hub: MakeHub, swarm: Swarm, full_network: str, page: Page, picture: Picture
) -> None:
    hub = make_hub(swarm=swarm, config=AT_ONCE, network_name=full_network)
    await log_in(page, hub, "alice")
    said = page.get_by_text("Waiting for an address in the swarm's network").first
    await expect(said).to_be_visible(timeout=SEEN_WITHIN)
    await picture("seen")
    await hub.api.stop_server("alice")
    await nothing_left(hub)
