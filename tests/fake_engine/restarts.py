"""Restarts: of one container, and of the whole Engine."""

from __future__ import annotations

import asyncio
import contextlib

from tests.fake_engine import lifetime, listeners, policy
from tests.fake_engine.answers import Refused
from tests.fake_engine.lifetime import Linger
from tests.fake_engine.state import Container, EngineState
from tests.fake_engine.swarm.overlay import TASK_LABEL


async def of_container(engine: EngineState, container: Container, grace: float, linger: Linger) -> None:
    """Stop and start a container, as `docker restart` does. Raises Refused."""
    container.restarting = True
    try:
        await lifetime.stop(engine, container, grace, linger)
    finally:
        container.restarting = False
    await lifetime.start(engine, container, linger)
    engine.container_event(container, "restart")


async def _at_once() -> None:
    """A restart of the Engine is not slowed down by rules."""


async def going(engine: EngineState, *, live_restore: bool, graceful: bool) -> None:
    """The Engine ends, while its streams are still open."""
    if graceful and not live_restore:
        await asyncio.gather(*(_stopped(engine, each) for each in _running(engine)))
    for container in engine.containers.values():
        listeners.suspend(container)
    engine.away = True


async def coming(engine: EngineState, *, live_restore: bool) -> None:
    """The Engine is started, and does not answer yet."""
    engine.away = False
    engine.events.past.clear()
    for container in _running(engine):
        if live_restore and not container.host_config["AutoRemove"]:
            await listeners.resume(container)
        else:
            await _cleared(engine, container, live_restore=live_restore)
    for container in list(engine.containers.values()):
        ended = container.exits > 0 and not container.running and not container.removing
        if ended and policy.starts_again(container, container.state["ExitCode"]):
            with contextlib.suppress(Refused):
                await lifetime.start(engine, container, _at_once)


def _running(engine: EngineState) -> list[Container]:
    return [each for each in engine.containers.values() if each.running]


async def _stopped(engine: EngineState, container: Container) -> None:
    # Nobody has the time for a grace; who is deaf to SIGTERM is killed at once.
    by_hand = container.by_hand
    await lifetime.stop(engine, container, 0, _at_once)
    lifetime.tell_end(engine, container)
    container.by_hand = by_hand
    if container.host_config["AutoRemove"]:
        lifetime.forget(engine, container)


async def _cleared(engine: EngineState, container: Container, *, live_restore: bool) -> None:
    """End what outlived its Engine; even live restore spares nothing with AutoRemove (measured)."""
    deaf = container.trait("slowstop") == "1"
    for signal in ["9"] if live_restore else ["15", "9"] if deaf else ["15"]:
        engine.container_event(container, "kill", signal=signal)
    code = 137 if live_restore or deaf else int(container.trait("term_code") or 0)
    lifetime.found_dead(engine, container, code)
    container.by_hand = True
    engine.container_event(container, "die", exitCode=str(code))
    if not live_restore:
        engine.container_event(container, "stop")
    if container.host_config["AutoRemove"] or TASK_LABEL in container.labels:
        lifetime.forget(engine, container)
    # The swarm's tasks wait for it, though nobody else can.
    async with container.changed:
        container.changed.notify_all()
