"""What the programs here share: counts as arguments, descriptors enough, and an orderly end."""

from __future__ import annotations

import argparse
import asyncio
import resource
import signal
from collections.abc import Callable

CUT_OFF = 130
"""The exit status of a run that was told to end."""


def up_to(most: int) -> Callable[[str], int]:
    """An argument's type: a count from 1 to `most`."""

    def count(text: str) -> int:
        if not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"must be from 1 to {most}")
        return int(text)

    return count


def cancel_on(*numbers: signal.Signals) -> None:
    """End in order, cleaning up, at each of these signals; another one while that goes on breaks it off."""
    task = asyncio.current_task()
    if task is not None:
        for number in numbers:
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)


def allow_many_descriptors() -> None:
    """Let this process and its children open as many files and sockets as the system allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
