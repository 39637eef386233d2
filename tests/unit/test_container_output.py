"""What containers and commands write: read whole, or only the end of it, however it comes."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from asyncdockerspawner.client.output import CUT, Tail, text


def frame(stream: int, payload: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


def fed(raw: bytes, size: int, most: int) -> Tail:
    tail = Tail(most)
    for at in range(0, len(raw), size):
        tail.feed(raw[at : at + size])
    return tail


FRAMES = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(min_size=1, max_size=20)), max_size=8)


@given(FRAMES, st.integers(1, 30))
def test_what_is_short_is_kept_whole_whatever_its_chunks(frames: list[tuple[int, bytes]], size: int) -> None:
    raw = b"".join(frame(*each) for each in frames)
    assert fed(raw, size, 1000).text == text(raw)


@given(st.text("ab\n", min_size=1, max_size=60), st.integers(1, 30))
def test_a_terminals_output_is_kept_whole_whatever_its_chunks(written: str, size: int) -> None:
    raw = written.encode()
    assert fed(raw, size, 1000).text == text(raw)


@given(st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=40), st.integers(1, 100))
def test_of_much_the_end_is_kept(payloads: list[bytes], size: int) -> None:
    found = fed(b"".join(frame(1, each) for each in payloads), size, 40).text
    whole = text(frame(1, b"".join(payloads)))
    if found != whole:
        assert found.startswith(CUT)
        # A character or a line's end may be cut in two, so the very beginning is not compared.
        assert whole.endswith(found.removeprefix(CUT)[8:])
        assert len(found) <= 40 + len(CUT)


def test_neither_much_output_nor_a_long_line_takes_much_memory() -> None:
    tail, piece = Tail(), b"x" * 2**16
    tracemalloc.start()
    try:
        for _ in range(300):
            tail.feed(frame(1, piece))
        tail.feed(frame(2, b"\nthe end\n"))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 2**20
    assert "the end" in tail.text


@given(FRAMES, st.integers(1, 30))
def test_what_the_engine_says_itself_is_no_output(frames: list[tuple[int, bytes]], size: int) -> None:
    alone = b"".join(frame(*each) for each in frames)
    beside = frame(3, b"Error grabbing logs") + alone + frame(3, b"incomplete log stream")
    assert text(beside) == fed(beside, size, 1000).text == text(alone)
