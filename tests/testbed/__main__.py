"""`python -m tests.testbed up|down|status`: the real parts by hand."""

from __future__ import annotations

import argparse
import sys

import jupyterhub

from tests.testbed.engine import ensure_engine, find_engine, our_pid, stop_engine
from tests.testbed.images import ensure_stub_image, ensure_stubborn_image
from tests.testbed.proxy import ensure_proxy
from tests.testbed.singleuser import ensure_singleuser_image
from tests.testbed.steps import TestbedError, say


def up(*, singleuser: bool) -> None:
    """Bring up what tests need; what is there already is used as it is."""
    engine = ensure_engine()
    say(f"* Docker Engine {engine.version} at {engine.url}")
    for image in (ensure_stub_image(), ensure_stubborn_image()):
        say(f"* image {image}")
    if singleuser:
        say(f"* image {ensure_singleuser_image(jupyterhub.__version__)}")
    say(f"* proxy {' '.join(ensure_proxy())}")


def status() -> None:
    """Say what is there, and change nothing."""
    engine = find_engine()
    pid = our_pid()
    say(f"* Docker Engine {engine.version} at {engine.url}" if engine else "* no Docker Engine answers")
    say(
        f"* the test bed's own Engine is process {pid}" if pid else "* the test bed runs no Engine of its own"
    )


def main() -> int:
    """Run one command; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.testbed", description=__doc__)
    parser.add_argument("command", choices=("up", "down", "status"))
    parser.add_argument("--singleuser", action="store_true", help="also the real single-user image")
    given = parser.parse_args()
    try:
        if given.command == "up":
            up(singleuser=given.singleuser)
        elif given.command == "down":
            stop_engine()
        else:
            status()
    except TestbedError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
