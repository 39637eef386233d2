"""From a started object to a server that answers, or to the reason why it never will."""

from __future__ import annotations

import asyncio
import time

from asyncdockerspawner import errors, status
from asyncdockerspawner.client import probe
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.lifecycle.host import Host, resolved

ADDRESS_TRIES = 20
ADDRESS_SECONDS = 0.25
"""How often, and how long apart, a started server is asked for an address that it does not have yet."""
LOG_LINES = 20
LOG_CHARACTERS = 2000
LOOK_SECONDS = 15.0
"""Seconds between questions about a starting server, should its end have been missed."""
BLIND_SECONDS = 1.0
"""The same while there is no event stream."""


async def address(host: Host) -> tuple[str, int]:
    """Give where the server is reached. Raises ServerDied where it has died already, else NoEndpoint."""
    for _ in range(ADDRESS_TRIES):
        try:
            ip, port = await resolved(host.get_ip_and_port())
            break
        except errors.NoEndpoint as exc:
            # A server that has died already has no address either; say the reason rather than the symptom.
            await _must_run(host)
            if not isinstance(exc, errors.NoAddressYet):
                raise
        await asyncio.sleep(ADDRESS_SECONDS)
    else:
        ip, port = await resolved(host.get_ip_and_port())
    host.note_address(str(ip), int(port))
    return str(ip), int(port)


async def until_it_answers(host: Host, ended: asyncio.Event, end: float) -> None:
    """Wait for the server's first answer; a merely slow one is left to the Hub's `http_timeout`.

    Raises ServerDied as soon as the server has ended.
    """
    url = host.probe_url
    if url is None:
        return None
    answer = asyncio.create_task(probe.answers(url))
    try:
        while (left := end - time.monotonic()) > 0:
            pause = LOOK_SECONDS if host.watch.live else BLIND_SECONDS
            await _either(answer, ended, min(left, pause))
            if answer.done():
                return await answer
            ended.clear()
            await _must_run(host)
        await _must_run(host)
    finally:
        answer.cancel()
        await asyncio.gather(answer, return_exceptions=True)


async def _either(answer: asyncio.Task[None], ended: asyncio.Event, seconds: float) -> None:
    waiting = asyncio.create_task(ended.wait())
    try:
        await asyncio.wait({answer, waiting}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()


async def _must_run(host: Host) -> None:
    try:
        document = await host.workload.find(host.object_id)
    except errors.EngineError as exc:
        # An Engine that does not answer is not a server that has ended.
        host.log.debug("Cannot ask about %s: %s", host.object_name, exc)
        return
    if document is None or not host.workload.running(document):
        raise errors.ServerDied(await reason(host, document, " before it answered"))


async def reason(host: Host, document: JsonObject | None, when: str = "") -> str:
    """Say why the server ended: exit code or cause, and its last lines without the token in them."""
    if document is None:
        return f"The server was removed by somebody else{when}."
    ended = status.exit_status(document)
    text = f"The server {ended.summary() if ended else 'stopped'}{when}."
    lines = (await host.workload.last_lines(str(document["Id"]), LOG_LINES)).strip()
    if lines and host.api_token:
        lines = lines.replace(host.api_token, "***")
    if lines:
        text += f" Its last words: {lines[-LOG_CHARACTERS:]}"
    return text
