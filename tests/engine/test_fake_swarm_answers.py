"""Every answer of the fake swarm beside a real one's: the same requests, played at both."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.fake_engine import FakeEngine
from tests.fake_engine.player import LABEL, Player, differences
from tests.fake_engine.scripts import Script
from tests.fake_engine.scripts_swarm import SCRIPTS
from tests.testbed.images import ensure_stub_image
from tests.testbed.plain_http import async_client_of
from tests.testbed.swarm import Swarm

LIKE = "20.10"
"""The real manager's kind."""


@asynccontextmanager
async def player_of(socket: str) -> AsyncIterator[Player]:
    """Play at an Engine; everything that carries this player's label is removed."""
    async with async_client_of(socket) as http:
        player = Player(http, ensure_stub_image())
        try:
            yield player
        finally:
            await remove_everything(player)


async def remove_everything(player: Player) -> None:
    query = {"filters": json.dumps({"label": [f"{LABEL}={player.tag}"]})}
    for kind in ("services", "secrets", "configs"):
        for one in (await player.http.get(f"/{kind}", params=query)).json():
            await player.http.delete(f"/{kind}/{one['ID']}")
    while (await player.http.get("/tasks", params=query)).json():
        pass
    for one in (await player.http.get("/networks", params=query)).json():
        await player.http.delete(f"/networks/{one['Id']}")


@pytest.mark.parametrize("play", SCRIPTS, ids=lambda play: play.__name__)
async def test_the_fake_swarm_answers_as_the_real_one(play: Script, fake: FakeEngine, swarm: Swarm) -> None:
    fake.reset(like=LIKE)
    fake.swarm.become("manager")
    async with player_of(swarm.manager.url.removeprefix("unix://")) as real:
        await play(real)
    async with player_of(str(fake.socket)) as faked:
        fake.add_image(faked.image)
        await play(faked)
    found = differences([list(each) for each in faked.heard], [list(each) for each in real.heard])
    assert found == [], "fake != real:\n" + "\n".join(found)
