"""What notices a thread, an executor or a socket: in a source, and while a test runs."""

from __future__ import annotations

import ast
import asyncio
import socket
import threading  # noqa: TID251 - to count them
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor  # noqa: TID251 - to refuse one
from contextlib import contextmanager
from typing import Any, NoReturn
from unittest import mock

EXECUTOR_WORDS = frozenset({"run_in_executor", "set_default_executor", "to_thread"})


def executor_uses(source: str) -> list[str]:
    """Where a source reaches for an executor through an object, which neither linter sees: "line: word"."""
    said = [each for node in ast.walk(ast.parse(source)) for each in _said(node)]
    return [f"{line}: {word}" for line, word in sorted(said) if word in EXECUTOR_WORDS]


def _said(node: ast.AST) -> list[tuple[int, str]]:
    match node:
        case ast.Attribute(attr=word, lineno=line) | ast.Name(id=word, lineno=line):
            return [(line, word)]
        case ast.Constant(value=str(word), lineno=line):
            return [(line, word)]
        case ast.ImportFrom(names=names, lineno=line):
            return [(line, each.name) for each in names]
        case _:
            return []


class NoExecutor(ThreadPoolExecutor):
    """Refuses every job."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError(f"{fn!r} was given to an executor")


@contextmanager
def no_threads(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Within it, the loop's executor refuses every job; at its end, a thread that is new is a failure."""
    loop.set_default_executor(NoExecutor(max_workers=1))
    threads = set(threading.enumerate())
    yield
    started = set(threading.enumerate()) - threads
    assert started == set(), f"{started} were started"


@contextmanager
def no_sockets() -> Iterator[None]:
    """Within it, a socket can neither be connected nor bound; a loop's own pair of sockets is neither."""

    def refuse(_: socket.socket, address: object) -> NoReturn:
        raise AssertionError(f"a socket was opened: {address!r}")

    with mock.patch.multiple(socket.socket, connect=refuse, connect_ex=refuse, bind=refuse):
        yield
