"""`python -m tests.testbed.demo`: from a bare machine to a Hub with notebooks in containers, on 127.0.0.1.

Engine, image and proxy are brought up where they are missing; the Hub's folder is kept, so that the next
demo is the same Hub. Ctrl-C stops the users' servers, the Hub and its proxy, and says what stays.
"""

from __future__ import annotations

import argparse
import contextlib
import secrets
import signal
import sys
import time
from pathlib import Path

import jupyterhub

from tests.testbed.engine import ensure_engine, find_engine, our_pid, stop_engine
from tests.testbed.hub import HubProcess
from tests.testbed.proxy import ensure_proxy
from tests.testbed.singleuser import ensure_default_image
from tests.testbed.steps import TestbedError, cache_dir, say, step

VOLUME = "asyncdockerspawner-demo-{username}"
CONFIG = """
c.DummyAuthenticator.password = {password!r}
c.DockerSpawner.image = {image!r}
c.DockerSpawner.prefix = "demo"
c.DockerSpawner.remove = True
c.DockerSpawner.volumes = {{{volume!r}: "/home/jovyan/work"}}
c.DockerSpawner.default_url = "/lab"
"""


def password_of(folder: Path) -> str:
    """Give the demo's password, the same at every start."""
    file = folder / "password"
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(9))
    return file.read_text()


def demo(*, port: int, pull: bool) -> None:
    """Bring up everything, say where it is, and wait for ctrl-C."""
    begin = time.monotonic()
    was_there = find_engine() is not None
    engine = ensure_engine()
    say(
        f"* Docker Engine {engine.version} at {engine.url}" + ("" if was_there else ", started for this demo")
    )
    image = ensure_default_image(jupyterhub.__version__, pull=pull)
    say(f"* single-user image {image}")
    ensure_proxy()
    folder = cache_dir("demo")
    password = password_of(folder)
    config = CONFIG.format(password=password, image=image, volume=VOLUME)
    hub = HubProcess(folder, config=config, port=port)
    try:
        with step(f"starting JupyterHub {jupyterhub.__version__} (log: {folder / 'hub.log'})"):
            hub.start()
        say(f"* everything took {time.monotonic() - begin:.0f} s")
        say(f"Demo ready: {hub.url} (user: any name, password: {password})")
        say("Ctrl-C ends it.")
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
    finally:
        say("")
        with step("stopping the users' servers, the Hub and its proxy"):
            hub.close()
        if not was_there and our_pid() is not None:
            stop_engine()
        say_what_stays(folder, image)


def say_what_stays(folder: Path, image: str) -> None:
    """Tell what a demo keeps, and how to be rid of it."""
    say(
        "Kept: the volumes with the users' work (`docker volume ls -f name=asyncdockerspawner-demo-` lists "
        f"them, `docker volume rm NAME` deletes one), the image {image}, and the Hub's folder {folder}."
    )


def main() -> int:
    """Run the demo; gives the exit status."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--port", type=int, default=8000, help="port on 127.0.0.1 (8000)")
    parser.add_argument(
        "--no-pull", action="store_true", help="make the image here, even if it could be pulled"
    )
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        demo(port=given.port, pull=not given.no_pull)
    except TestbedError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
