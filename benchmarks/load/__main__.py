"""Put a load on a Hub: users are made, start their servers, stay, and are removed with all that they had.

Aim it at a Hub of your own, and tell whoever else uses it: it starts as many servers as you say.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

from benchmarks.command_line import CUT_OFF, cancel_on, up_to
from benchmarks.load.plan import MOST_USERS, Plan
from benchmarks.load.run import Loaded, load
from benchmarks.load.summary import plot, remains, summary
from tests.support.hub_api import HubAPI, HubRefused

TOKEN = "JUPYTERHUB_API_TOKEN"  # noqa: S105 - its name
SCOPES = "admin:users, admin:servers, access:servers"
TOLD_EVERY = 5.0


def main(words: Sequence[str] | None = None) -> int:
    """Run as asked; 1 where a server failed or something is left."""
    asked = _arguments(words)
    token = asked.token or os.environ.get(TOKEN)
    if not token:
        print(f"no token: give --token, or set {TOKEN}; its scopes: {SCOPES}", file=sys.stderr)
        return 2
    plan = Plan(
        users=asked.users,
        per_second=asked.per_second,
        at_once=asked.at_once,
        stay=asked.stay,
        timeout=asked.timeout,
        prefix=asked.prefix,
    )
    loaded = Loaded(plan)
    try:
        return _attempt(asked.url, token, loaded) or _report(loaded, asked.out)
    finally:
        if loaded.left:
            print(remains(loaded.left, asked.url), file=sys.stderr, flush=True)


def _attempt(url: str, token: str, loaded: Loaded) -> int:
    """Put the load on the Hub, and say what ended it early; 0 where nothing did."""
    try:
        asyncio.run(_load(url, token, loaded))
    except HubRefused as exc:
        print(f"the Hub refuses: {exc} (the token needs the scopes {SCOPES})", file=sys.stderr)
        return 1
    except httpx.TransportError as exc:
        print(f"no Hub answers at {url}: {exc!r}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("cut off" if loaded.left else "cut off; none of its users and servers is left", file=sys.stderr)
        return CUT_OFF
    return 0


def _report(loaded: Loaded, folder: Path | None) -> int:
    print(summary(loaded))
    _write(loaded, folder)
    return 1 if loaded.faults or loaded.left else 0


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    add = parser.add_argument
    add("--url", required=True, help="the Hub's public address, with its base_url")
    add("--token", help=f"an API token with the scopes {SCOPES}; safer: the variable {TOKEN}")
    add("--users", type=up_to(MOST_USERS), required=True, help=f"how many, up to {MOST_USERS}")
    add("--per-second", type=_not_negative, default=0.0, help="how many come a second (default: all at once)")
    add(
        "--at-once", type=up_to(MOST_USERS), default=100, help="starts that are waited for at a time, at most"
    )
    add("--stay", type=_not_negative, default=0.0, help="seconds that all stay (default 0)")
    add("--timeout", type=_not_negative, default=600.0, help="seconds for each start and stop (default 600)")
    add("--prefix", default="load-", help="what the users' names begin with (default load-)")
    add("--out", type=Path, metavar="FOLDER", help="write load.json and load.svg there")
    return parser.parse_args(words)


def _not_negative(text: str) -> float:
    if not float(text) >= 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return float(text)


async def _load(url: str, token: str, loaded: Loaded) -> None:
    cancel_on(signal.SIGINT, signal.SIGTERM)
    told = 0.0

    def tell(text: str) -> None:
        nonlocal told
        if time.monotonic() - told >= TOLD_EVERY or "ready" not in text:
            told = time.monotonic()
            print(text, file=sys.stderr, flush=True)

    async with HubAPI(url, token, deadline=loaded.plan.timeout, poll_every=0.5) as api:
        await load(api, loaded, tell)


def _write(loaded: Loaded, folder: Path | None) -> None:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "load.json").write_text(json.dumps(loaded.document(), indent=1) + "\n")
        (folder / "load.svg").write_text(plot(loaded))
        print(f"written: {folder / 'load.json'}, {folder / 'load.svg'}")


if __name__ == "__main__":
    sys.exit(main())
