"""The lines of a spawn: every viewer sees them from the beginning, and the end ends them all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncdockerspawner.hub.spawn_log import MOST_LINES, Event, SpawnLog
from asyncdockerspawner.images.pull_progress import DOWNLOAD_SHARE, PullProgress


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


# ---- how far a pull has come ----


def line(layer: str, word: str, current: int = 0, total: int = 0, **more: Any) -> dict[str, Any]:
    detail = {"current": current, "total": total, **more} if current or total or more else {}
    return {"id": layer, "status": word, "progressDetail": detail}


MB = 1_000_000
RECORDED = Path(__file__).with_name("pull_overlay2.jsonl")
"""What Docker 20.10 with overlay2 said while it pulled four layers over a slow line."""
# The same store's words, for an image of three layers of which one is there already.
OVERLAY2 = [
    {"status": "Pulling from team/lab", "id": "1"},
    line("a", "Already exists"),
    line("b", "Pulling fs layer"),
    line("c", "Pulling fs layer"),
    line("c", "Waiting"),
    line("b", "Downloading", 10 * MB, 40 * MB),
    line("b", "Downloading", 40 * MB, 40 * MB),
    line("b", "Verifying Checksum"),
    line("b", "Download complete"),
    line("b", "Extracting", 20 * MB, 40 * MB),
    line("c", "Downloading", 5 * MB, 20 * MB),
    line("b", "Extracting", 40 * MB, 40 * MB),
    line("b", "Pull complete"),
    line("c", "Download complete"),
    line("c", "Extracting", 20 * MB, 20 * MB),
    line("c", "Pull complete"),
    {"status": "Digest: sha256:0"},
    {"status": "Status: Downloaded newer image for team/lab:1"},
]
# In the form of containerd's image store, which tells unpacking in seconds.
CONTAINERD = [
    {"status": "Pulling from team/lab", "id": "1"},
    line("b", "Pulling fs layer"),
    line("c", "Pulling fs layer"),
    line("b", "Downloading", 10 * MB, 40 * MB),
    line("c", "Downloading", 20 * MB, 20 * MB),
    line("b", "Download complete", hidecounts=True),
    line("c", "Download complete", hidecounts=True),
    line("b", "Extracting", 1, units="s"),
    line("b", "Extracting", 2, units="s"),
    line("b", "Pull complete", hidecounts=True),
    line("c", "Pull complete", hidecounts=True),
    {"status": "Status: Downloaded newer image for team/lab:1"},
]


def seen(lines: list[dict[str, Any]]) -> list[tuple[float, str]]:
    progress, found = PullProgress(), []
    for each in lines:
        progress.feed(each)
        found.append((progress.fraction, progress.text))
    return found


@pytest.mark.parametrize("lines", [OVERLAY2, CONTAINERD], ids=["overlay2", "containerd"])
def test_a_pull_ends_with_all_of_it(lines: list[dict[str, Any]]) -> None:
    found = seen(lines)
    assert found[0] == (0.0, "")
    assert found[-1][0] == pytest.approx(1.0)
    assert found[-1][1].startswith("60 of 60 MB")


def test_a_recorded_pull_goes_from_nothing_to_all_without_a_step_back() -> None:
    found = seen([json.loads(each) for each in RECORDED.read_text().splitlines()])
    parts = [part for part, _ in found]
    assert parts == sorted(parts)
    assert parts[0] == 0.0
    assert parts[-1] == pytest.approx(1.0)
    assert len(set(parts)) > 20
    assert found[-1][1] == "10 of 10 MB, 4 of 4 layers"


def test_megabytes_and_layers_are_told() -> None:
    texts = [text for _, text in seen(OVERLAY2)]
    assert texts[5] == "10 of 40 MB, 1 of 3 layers"
    assert texts[10] == "45 of 60 MB, 1 of 3 layers"
    assert texts[13] == "60 of 60 MB, 2 of 3 layers, unpacking"
    assert texts[-1] == "60 of 60 MB, 3 of 3 layers"


def test_a_download_is_most_of_the_work() -> None:
    progress = PullProgress()
    progress.feed(line("a", "Downloading", 10, 10))
    assert progress.fraction == DOWNLOAD_SHARE


def test_a_layer_that_is_tried_again_does_not_go_back() -> None:
    progress = PullProgress()
    for each in (line("a", "Downloading", 30 * MB, 40 * MB), line("a", "Retrying in 5 seconds")):
        progress.feed(each)
    assert progress.text == "30 of 40 MB, 0 of 1 layer, retrying in 5 seconds"
    before = progress.fraction
    progress.feed(line("a", "Downloading", 1 * MB, 40 * MB))
    assert (progress.fraction, progress.text) == (before, "30 of 40 MB, 0 of 1 layer")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
pull_words = st.sampled_from(
    sorted({each["status"] for each in [*OVERLAY2, *CONTAINERD]} | {"Retrying in 3 seconds", "New"})
)
details = st.fixed_dictionaries(
    {},
    optional={
        "current": st.integers(-5, 10**12),
        "total": st.integers(-5, 10**12),
        "units": st.text(max_size=2),
    },
)
pull_lines = st.one_of(
    st.fixed_dictionaries(
        {"id": st.sampled_from("abcd"), "status": pull_words, "progressDetail": details | json_values}
    ),
    st.dictionaries(st.sampled_from(["id", "status", "progressDetail", "x"]), json_values),
)


@given(st.lists(pull_lines, max_size=40))
def test_whatever_an_engine_says_progress_never_goes_back(lines: list[dict[str, Any]]) -> None:
    progress = PullProgress()
    before = (0.0, 0, 0)
    for each in lines:
        progress.feed(each)
        now = (progress.fraction, progress.megabytes, progress.of_megabytes)
        assert all(new >= old for new, old in zip(now, before, strict=True))
        assert now[0] <= 1.0
        assert now[1] <= now[2]
        assert isinstance(progress.text, str)
        before = now
