"""What containers and commands write, as the Engine hands it on. Source: Engine API v1.41, "Attach"."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator

STDERR = 2
SYSTEM = 3
"""What the Engine itself says of what it could not read; a swarm's manager does where a node is away."""

MOST_BYTES = 64 * 1024
"""Of what a command or a server has written, the end is kept, about so much of it."""
CUT = "[…]"
"""In place of what was not kept."""
_HEADER = 8


def text(raw: bytes) -> str:
    """Join both streams line by line, each line as its stream wrote it."""
    return _lines(_frames(raw))


async def end_of(chunks: AsyncIterator[bytes]) -> Tail:
    """Read a stream to its end, and keep the end of it."""
    tail = Tail()
    async for chunk in chunks:
        tail.feed(chunk)
    return tail


class Tail:
    """The end of what comes in chunks of any size, in bounded memory."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._kept: deque[tuple[int, bytes]] = deque()
        self._size = 0
        self._cut = False
        self._header = b""
        self._stream = self._left = 0
        self._framed = True

    def feed(self, chunk: bytes) -> None:
        """Add the next chunk."""
        while chunk:
            if not self._framed:
                self._keep(0, chunk)
                return
            if self._left:
                piece, chunk = chunk[: self._left], chunk[self._left :]
                self._left -= len(piece)
                self._keep(self._stream, piece)
                continue
            missing = _HEADER - len(self._header)
            self._header, chunk = self._header + chunk[:missing], chunk[missing:]
            if len(self._header) == _HEADER:
                self._begin(self._header)

    @property
    def text(self) -> str:
        """What is kept of it, as `text` gives it."""
        return self._shown(self._pieces)

    @property
    def parted(self) -> tuple[str, str]:
        """What is kept of stdout, or of a terminal, and of stderr."""
        pieces = self._pieces
        out = [each for each in pieces if each[0] != STDERR]
        return self._shown(out), self._shown([each for each in pieces if each[0] == STDERR])

    @property
    def _pieces(self) -> list[tuple[int, bytes]]:
        # A header that never came to its end is the text of a terminal.
        rest = [(0, self._header)] if self._header and not self._kept else []
        return [*self._kept, *rest]

    def _shown(self, pieces: Iterable[tuple[int, bytes]]) -> str:
        found = _lines(pieces)
        return f"{CUT}{found}" if self._cut and found else found

    def _begin(self, header: bytes) -> None:
        if header[1:4] == b"\0\0\0" and header[0] <= SYSTEM:
            self._stream, self._left = header[0], int.from_bytes(header[4:], "big")
            self._header = b""
        else:
            self._framed = False
            self._header = b""
            self._keep(0, header)

    def _keep(self, stream: int, piece: bytes) -> None:
        if stream == SYSTEM:
            return
        self._kept.append((stream, piece))
        self._size += len(piece)
        while (over := self._size - self._most) > 0:
            self._cut = True
            oldest, first = self._kept.popleft()
            if len(first) > over:
                self._kept.appendleft((oldest, first[over:]))
            self._size -= min(len(first), over)


def _lines(frames: Iterable[tuple[int, bytes]]) -> str:
    lines: list[bytes] = []
    begun: dict[int, bytes] = {}
    for stream, payload in frames:
        *complete, begun[stream] = (begun.get(stream, b"") + payload).split(b"\n")
        lines += complete
    lines += [rest for rest in begun.values() if rest]
    return b"\n".join(line.removesuffix(b"\r") for line in lines).decode(errors="replace")


def joined(raw: bytes) -> bytes:
    """Return the bytes of both streams in the order in which they were written."""
    return b"".join(payload for _, payload in _frames(raw))


def parted(raw: bytes) -> tuple[bytes, bytes]:
    """Return what went to stdout, or to a terminal, and what went to stderr."""
    frames = list(_frames(raw))
    out = b"".join(payload for stream, payload in frames if stream != STDERR)
    return out, b"".join(payload for stream, payload in frames if stream == STDERR)


def _frames(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield stream and payload of each write.

    Without a terminal a write, or 16 KiB of it, is framed by eight bytes: stream, three zeros, length (big
    endian). A terminal's output has no frames.
    """
    at = 0
    while raw[at + 1 : at + 4] == b"\0\0\0" and raw[at] <= SYSTEM:
        size = int.from_bytes(raw[at + 4 : at + 8], "big")
        if raw[at] != SYSTEM:
            yield raw[at], raw[at + 8 : at + 8 + size]
        at += 8 + size
    if at == 0:
        yield 0, raw
