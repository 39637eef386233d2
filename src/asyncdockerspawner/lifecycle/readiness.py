"""From a started object to a server that answers, or to the reason why it never will."""

from __future__ import annotations

import asyncio
import time

from asyncdockerspawner import errors, redact, status
from asyncdockerspawner.client import probe
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.lifecycle.host import Host, resolved

ADDRESS_TRIES = 20
ADDRESS_SECONDS = 0.25
"""How often, and how long apart, a started server is asked for an address that it does not have yet."""
LOG_CHARACTERS = 4000
"""Of a server's last lines, at most."""
LOOK_SECONDS = 10.0
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


async def until_it_answers(host: Host, ended: asyncio.Event, end: float) -> str:
    """Wait for the server's first answer; a merely slow one is left to the Hub's `http_timeout`.

    Gives the server's version of JupyterHub, or nothing. Raises ServerDied as soon as the server has ended.
    """
    url = host.probe_url
    if url is None:
        return ""
    begin = time.monotonic()
    answer = asyncio.create_task(probe.answers(url))
    try:
        while (left := end - time.monotonic()) > 0:
            pause = LOOK_SECONDS if host.watch.live else BLIND_SECONDS
            await _either(answer, ended, min(left, pause))
            waited = time.monotonic() - begin
            if answer.done():
                host.report(f"The server answers, after {waited:.1f} s", progress=90)
                return await answer
            ended.clear()
            await _must_run(host)
            host.report(f"The server runs, but does not answer yet ({waited:.0f} s)", topic="answer")
        await _must_run(host)
        return ""
    finally:
        answer.cancel()
        await asyncio.gather(answer, return_exceptions=True)


async def _either(answer: asyncio.Task[str], ended: asyncio.Event, seconds: float) -> None:
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
        died = await death(host, document, " before it answered")
        host.log.warning("%s: %s", host.object_name, str(died))
        raise died


async def death(host: Host, document: JsonObject | None, when: str = "") -> errors.ServerDied:
    """Say why the server ended: exit code or cause, what to do, and its last lines without secrets."""
    if document is None:
        return errors.ServerDied(f"The server was removed by somebody else{when}.")
    ended = status.exit_status(document)
    text = f"The server {ended.summary() if ended else 'stopped'}{when}."
    if ended is not None and ended.hint:
        text += f" {ended.hint}"
    advice = ended.advice if ended is not None else ""
    if not host.failure_log_lines:
        return errors.ServerDied(text, advice=advice)
    lines = await host.workload.last_lines(str(document["Id"]), host.failure_log_lines)
    environment = (document.get("Config") or {}).get("Env") or []
    lines = redact.redacted(lines.strip(), [host.api_token, *redact.secrets_of(environment)])
    return errors.ServerDied(text, lines[-LOG_CHARACTERS:], advice=advice)
