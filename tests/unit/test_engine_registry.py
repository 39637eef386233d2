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
    assert len(registry._engines) <= 1


def test_engines_are_closed_when_the_hub_ends_and_what_is_not_done_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def hub() -> Engine:
        engine = registry.engine_for(HERE)
        engine.watch("h").begin()
        engine.janitor.submit("x", asyncio.Event().wait, what="remove x")  # type: ignore[arg-type]
        await asyncio.sleep(0)
        # So JupyterHub ends: it knows nothing of us.
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert asyncio.get_running_loop() not in registry._engines
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return engine

    engine = asyncio.run(hub())
    assert engine.docker.session.closed
    assert "remove x" in caplog.text


async def test_engines_that_are_closed_leave_nothing_behind() -> None:
    before = asyncio.all_tasks()
    registry.engine_for(HERE)
    await registry.close_engines()
    assert asyncio.all_tasks() == before
    await registry.close_engines()


def test_without_a_loop_there_is_no_engine() -> None:
    with pytest.raises(RuntimeError):
        registry.engine_for(HERE)
