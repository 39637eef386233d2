"""What containers and commands write, as the Engine hands it on. Source: Engine API v1.41, "Attach"."""

from __future__ import annotations

from collections.abc import Iterator

STDERR = 2


def text(raw: bytes) -> str:
    """Join both streams line by line, each line as its stream wrote it."""
    lines: list[bytes] = []
    begun: dict[int, bytes] = {}
    for stream, payload in _frames(raw):
        *complete, begun[stream] = (begun.get(stream, b"") + payload).split(b"\n")
        lines += complete
    lines += [rest for rest in begun.values() if rest]
    return b"\n".join(line.removesuffix(b"\r") for line in lines).decode(errors="replace")


def joined(raw: bytes) -> bytes:
    """Give the bytes of both streams in the order in which they were written."""
    return b"".join(payload for _, payload in _frames(raw))


def parted(raw: bytes) -> tuple[bytes, bytes]:
    """Give what went to stdout, or to a terminal, and what went to stderr."""
    frames = list(_frames(raw))
    out = b"".join(payload for stream, payload in frames if stream != STDERR)
    return out, b"".join(payload for stream, payload in frames if stream == STDERR)


def _frames(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """Give stream and payload of each write.

    Without a terminal a write, or 16 KiB of it, is framed by eight bytes: stream, three zeros, length (big
    endian). A terminal's output has no frames.
    """
    at = 0
    while raw[at + 1 : at + 4] == b"\0\0\0" and raw[at] <= 2:
        size = int.from_bytes(raw[at + 4 : at + 8], "big")
        yield raw[at], raw[at + 8 : at + 8 + size]
        at += 8 + size
    if at == 0:
        yield 0, raw
