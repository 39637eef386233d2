"""How far a pull has come: told from what the Engine says, and never going back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncdockerspawner.images.pull_progress import DOWNLOAD_SHARE, PullProgress


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
