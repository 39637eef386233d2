"""`python -m tests.testbed up|down|status|run`: the real parts by hand."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import jupyterhub

from tests.testbed.aiodocker_releases import OLD_RELEASES, ensure_aiodocker
from tests.testbed.browser import ensure_chromium
from tests.testbed.dockerspawner import dockerspawner_python
from tests.testbed.engine import ensure_engine, find_engine, our_pid, stop_engine
from tests.testbed.hub_image import ensure_hub_image
from tests.testbed.images import ensure_base_image, ensure_stub_image, ensure_stubborn_image
from tests.testbed.newest import (
    command_beside,
    ensure_newest_engine,
    find_newest_engine,
    stop_newest_engine,
    suite,
)
from tests.testbed.proxy import ensure_proxy
from tests.testbed.singleuser import ensure_singleuser_image
from tests.testbed.steps import TestbedError, say
from tests.testbed.swarm import ensure_swarm, find_swarm, stop_swarm
from tests.testbed.user_images import ensure_stub_images_of_users


def up(given: argparse.Namespace) -> None:
    """Bring up what tests need; what is there already is used as it is."""
    engine = ensure_engine()
    say(f"* Docker Engine {engine.version} at {engine.url}")
    images = [ensure_stub_image(), ensure_stubborn_image(), *ensure_stub_images_of_users()]
    if given.singleuser:
        images += [ensure_base_image(), ensure_singleuser_image(jupyterhub.__version__)]
    if given.hub_image:
        images.append(ensure_hub_image(jupyterhub.__version__))
    for image in images:
        say(f"* image {image}")
    say(f"* proxy {' '.join(ensure_proxy())}")
    if given.dockerspawner:
        say(f"* DockerSpawner for {dockerspawner_python()}")
    if given.browser:
        say(f"* browser {ensure_chromium()}")
    for release in OLD_RELEASES:
        say(f"* aiodocker {release} in {ensure_aiodocker(release)}")
    up_beside(given, images)


def up_beside(given: argparse.Namespace, images: Sequence[str]) -> None:
    """Bring up what runs beside the machine's own Engine."""
    if given.newest:
        ensure_newest_engine(images)
        say(newest_words())
    if given.swarm:
        ensure_swarm().close()
        say(swarm_words())


def down(_: argparse.Namespace) -> None:
    """End the Engines that the test bed has started."""
    stop_swarm()
    stop_newest_engine()
    stop_engine()


def status(_: argparse.Namespace) -> None:
    """Say what is there, and change nothing."""
    engine = find_engine()
    pid = our_pid()
    say(f"* Docker Engine {engine.version} at {engine.url}" if engine else "* no Docker Engine answers")
    say(
        f"* the test bed's own Engine is process {pid}" if pid else "* the test bed runs no Engine of its own"
    )
    say(newest_words())
    say(swarm_words())


def newest_words() -> str:
    """Tell whether a newer Engine runs, and of which suite."""
    found = find_newest_engine()
    if found is None:
        return "* the test bed runs no newer Engine"
    return f"* Docker Engine {found.version} of Debian {suite()} at {found.url}"


def swarm_words() -> str:
    """Tell whether a swarm runs, and where its manager and its registry are."""
    found = find_swarm()
    if found is None:
        return "* the test bed runs no swarm"
    found.close()
    return f"* swarm of two nodes, manager at {found.manager.url}, registry at {found.registry.address}"


def run(given: argparse.Namespace) -> None:
    """Become a command that finds the newest Engine in DOCKER_HOST, and its servers on 127.0.0.1."""
    engine = ensure_newest_engine()
    words = command_beside(engine, given.words)
    sys.stdout.flush()
    os.execvpe(words[0], words, {**os.environ, "DOCKER_HOST": engine.url})  # noqa: S606 - to get its signals


def main() -> int:
    """Run one command; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.testbed", description=__doc__)
    commands = parser.add_subparsers(required=True)
    for command in (up, down, status, run):
        told = commands.add_parser(command.__name__, help=command.__doc__)
        told.set_defaults(command=command)
        if command is up:
            told.add_argument("--singleuser", action="store_true", help="also the real single-user image")
            told.add_argument("--hub-image", action="store_true", help="also the one with Hub and proxy")
            told.add_argument("--browser", action="store_true", help="also a browser")
            told.add_argument("--dockerspawner", action="store_true", help="also an environment with that")
            told.add_argument("--newest", action="store_true", help="also the newest Engine, with the images")
            told.add_argument("--swarm", action="store_true", help="also a swarm of two nodes")
        if command is run:
            told.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND")
    given = parser.parse_args()
    try:
        given.command(given)
    except TestbedError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
