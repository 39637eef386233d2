"""Engines are shared by the spawners of one loop, and by nobody else."""

from __future__ import annotations

import asyncio

import pytest

from asyncdockerspawner.client.settings import EngineSettings
from asyncdockerspawner.engine import registry
from asyncdockerspawner.engine.engine import Engine

HERE = EngineSettings(url="unix:///nowhere/docker.sock")
THERE = EngineSettings(url="unix:///elsewhere/docker.sock")


async def test_equal_settings_give_the_same_engine_until_it_is_closed() -> None:
    engine = registry.engine_for(HERE)
    assert registry.engine_for(EngineSettings(url=HERE.url)) is engine
    assert registry.engine_for(THERE) is not engine
    assert engine.docker is engine.client.connection.docker
    await registry.close_engines()
    assert registry.engine_for(HERE) is not engine
    await registry.close_engines()


async def use_and_close() -> Engine:
    engine = registry.engine_for(HERE)
    await engine.aclose()
    return engine


def test_another_loop_gets_another_engine_and_an_ended_one_is_let_go() -> None:
    engines = [asyncio.run(use_and_close()) for _ in range(3)]
    assert len({id(engine) for engine in engines}) == 3
    assert len(registry._engines) == 1


def test_without_a_loop_there_is_no_engine() -> None:
    with pytest.raises(RuntimeError):
        registry.engine_for(HERE)
