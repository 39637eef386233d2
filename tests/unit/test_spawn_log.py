"""The lines of a spawn: every viewer sees them from the beginning, and the end ends them all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from asyncdockerspawner.hub.spawn_log import MOST_LINES, Event, SpawnLog


async def messages(events: AsyncIterator[Event]) -> list[str]:
    return [event["message"] async for event in events]


async def viewing(*logs: SpawnLog) -> list[asyncio.Task[list[str]]]:
    """Viewers that have read all there is."""
    viewers = [asyncio.create_task(messages(log.follow())) for log in logs]
    await asyncio.sleep(0)
    return viewers


async def test_a_line_has_what_was_said_and_nothing_else() -> None:
    log = SpawnLog()
    log.say("plain")
    log.say("rich", html="<b>rich</b>", progress=0)
    log.say("", html="", progress=100)
    log.end()
    assert [event async for event in log.follow()] == [
        {"message": "plain"},
        {"message": "rich", "html_message": "<b>rich</b>", "progress": 0},
        {"message": "", "html_message": "", "progress": 100},
    ]


async def test_every_viewer_sees_all_lines_whenever_it_comes() -> None:
    log = SpawnLog()
    viewers = await viewing(log)
    log.say("one")
    await asyncio.sleep(0)
    viewers += await viewing(log)
    log.say("two")
    log.say("three")
    log.end()
    assert await asyncio.gather(*viewers, messages(log.follow())) == [["one", "two", "three"]] * 3


async def test_a_viewer_waits_for_the_end_and_is_released_by_it() -> None:
    log = SpawnLog()
    [viewer] = await viewing(log)
    log.say("one")
    for _ in range(5):
        await asyncio.sleep(0)
    assert not viewer.done()
    log.end()
    assert await viewer == ["one"]


async def test_what_is_said_while_a_viewer_is_busy_with_a_line_is_not_lost() -> None:
    log = SpawnLog()
    log.say("one")
    events = log.follow()
    seen = [(await anext(events))["message"]]
    log.say("two")
    seen.append((await anext(events))["message"])
    log.say("three")
    log.say("four")
    seen += [(await anext(events))["message"], (await anext(events))["message"]]
    log.end()
    assert seen + await messages(events) == ["one", "two", "three", "four"]


async def test_a_line_takes_the_place_of_the_last_one_of_its_topic() -> None:
    log = SpawnLog()
    [viewer] = await viewing(log)
    for message, topic in [
        ("a1", "a"),
        ("a2", "a"),
        ("b1", "b"),
        ("a3", "a"),
        ("a4", "a"),
        ("x", ""),
        ("y", ""),
    ]:
        log.say(message, topic=topic)
        await asyncio.sleep(0)
    log.end()
    # Who looks on has seen the replaced ones too; who comes later gets what is left.
    assert await viewer == ["a1", "a2", "b1", "a3", "a4", "x", "y"]
    assert await messages(log.follow()) == ["a2", "b1", "a4", "x", "y"]


async def test_only_the_newest_lines_are_kept() -> None:
    log = SpawnLog()
    for number in range(MOST_LINES + 3):
        log.say(str(number))
    log.end()
    assert await messages(log.follow()) == [str(number) for number in range(3, MOST_LINES + 3)]


async def test_what_one_viewer_does_to_a_line_no_other_sees() -> None:
    log = SpawnLog()
    log.say("one")
    log.end()
    async for event in log.follow():
        event.clear()
    assert await messages(log.follow()) == ["one"]


async def test_viewers_of_one_spawn_see_nothing_of_another() -> None:
    mine, others = SpawnLog(), SpawnLog()
    viewers = await viewing(mine, others)
    mine.say("mine")
    mine.end()
    assert await viewers[0] == ["mine"]
    assert not viewers[1].done()
    others.end()
    assert await viewers[1] == []
