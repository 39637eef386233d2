"""Some who ask for start slots, and who of them has one."""

from __future__ import annotations

import asyncio

from asyncdockerspawner.engine.start_slots import Slot, StartSlots
from tests.support.waiting import turns


def silent(_ahead: int) -> None:
    """Hear one's position, and do nothing about it."""


class Starter:
    """One who asks for a slot; `slot` is there once it was acquired."""

    def __init__(self, slots: StartSlots, limit: int | None = 1, timeout: float = 60) -> None:
        self.told: list[int] = []
        self.task = asyncio.create_task(slots.acquire(limit, timeout=timeout, on_position=self.told.append))

    @property
    def has_slot(self) -> bool:
        return self.task.done() and not self.task.cancelled() and self.task.exception() is None

    @property
    def slot(self) -> Slot:
        return self.task.result()


async def starters(slots: StartSlots, count: int, limit: int | None = 1) -> list[Starter]:
    made = [Starter(slots, limit) for _ in range(count)]
    await turns()
    return made


def who(made: list[Starter]) -> list[int]:
    return [number for number, each in enumerate(made) if each.has_slot]
