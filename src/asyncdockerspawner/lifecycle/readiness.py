"""From a started object to a server that answers, or to the reason why it never will."""

from __future__ import annotations

import asyncio
import re
import time

from asyncdockerspawner import errors
from asyncdockerspawner.client.probe import Question, Seen
from asyncdockerspawner.engine.watch import ExitEvent
from asyncdockerspawner.lifecycle import advice, shared_network
from asyncdockerspawner.lifecycle.server import Server
from asyncdockerspawner.workloads import redact
from asyncdockerspawner.workloads.exit_status import ExitStatus
from asyncdockerspawner.workloads.observed import Observed

ADDRESS_TRIES = 20
ADDRESS_SECONDS = 0.25
"""How often, and how long apart, a started server is asked for an address that it does not have yet."""
LOG_CHARACTERS = 4000
"""Of a server's last lines, at most."""
PORT_LINES = 20
"""As many of its last lines are searched for the reason of a death: a port that is another's."""
LOOK_SECONDS = 10.0
"""Seconds between questions about a starting server, should its end have been missed."""
BLIND_SECONDS = 1.0
"""The same where no event tells of it."""
_PORT_IN_USE = re.compile(
    r"address (is )?(already )?in use|EADDRINUSE|port \S+ is (already in use|not available)", re.IGNORECASE
)
_OTHERWISE = {
    Seen.NO_HTTP: (
        "that is not a Hub's server: it does not speak HTTP",
        "See `cmd`, `port` and the image.",
    ),
    Seen.NOT_FOUND: (
        "that is not a Hub's server: it does not know this server's path (HTTP status 404)",
        "See `cmd`, `port` and the image.",
    ),
    Seen.NO_TLS: (
        "without TLS, which `internal_ssl` asks for",
        "A server has to heed JUPYTERHUB_SSL_KEYFILE and the variables beside it.",
    ),
    Seen.UNTRUSTED: (
        "over TLS, but it and the Hub do not trust each other's certificates",
        "The server's has to name this address (see `ssl_alt_names`), and to be signed by the authority that "
        "the Hub has now.",
    ),
}
"""How something answers that does not answer as a server should, and what to do."""
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class Start:
    """A start, from the Engine's word that the object runs to the server's first answer.

    It ends with the server's address, or with ServerDied, PortInUse, NoAnswer or NoEndpoint.
    """

    def __init__(self, server: Server, exited: ExitEvent, end: float) -> None:
        self._server = server
        self._exited = exited
        self._end = end
        self._restarts = 0
        self._observed: Observed | None = None

    async def address(self) -> tuple[str, int]:
        """Return the address at which the server answers; a merely slow one is left to the Hub's time limit.

        Who has had `http_timeout` here would not get it from the Hub once more: it is given up.
        """
        server = self._server
        ip, port = await self._first_address()
        server.hub.report("Waiting for the server to answer", progress=80)
        begin = time.monotonic()
        give_up_at = begin + server.policy.http_timeout
        while (url := server.url) is not None:
            question = Question(url, own=server.shared_port is not None, tls=server.tls)
            answer = asyncio.create_task(question.answer())
            try:
                if await self._answered(answer, begin, min(self._end, give_up_at)):
                    if question.seen is Seen.UNKNOWN_NAME:
                        advice.warn_of_unknown_name(server)
                    return ip, port
            finally:
                answer.cancel()
                await asyncio.gather(answer, return_exceptions=True)
            if time.monotonic() >= give_up_at:
                raise await self._no_answer(question.seen, ip, port)
            if time.monotonic() >= self._end:
                break
            # It was started again: the Engine may have given it another port.
            ip, port = await self._first_address()
        return ip, port

    async def _first_address(self) -> tuple[str, int]:
        server = self._server
        for _ in range(ADDRESS_TRIES):
            try:
                ip, port = await server.after(server.overrides.address())
                break
            except errors.NoEndpoint as exc:
                # A server that has died already has no address either; say the reason, not the symptom.
                started_again = await self._look()
                if not started_again and not isinstance(exc, errors.NoAddressYet):
                    raise
            await asyncio.sleep(ADDRESS_SECONDS)
        else:
            ip, port = await server.after(server.overrides.address())
        server.address = (ip, port)
        return ip, port

    async def _answered(self, answer: asyncio.Task[str], begin: float, until: float) -> bool:
        """Wait for the answer; False where the time is over, and where the server was started again."""
        server = self._server
        while (left := until - time.monotonic()) > 0:
            pause = LOOK_SECONDS if server.watch.tells_ends else BLIND_SECONDS
            await _either(answer, self._exited, min(left, pause))
            waited = time.monotonic() - begin
            if answer.done():
                if server.shared_port is not None and await self._look():
                    # Whoever has answered: it was not this server, which has ended.
                    return False
                server.hub.report(f"The server answers, after {waited:.1f} s", progress=90)
                advice.report_other_version(server, await answer)
                return True
            self._exited.clear()
            if await self._look():
                return False
            server.hub.report(f"The server runs, but does not answer yet ({waited:.0f} s)", topic="answer")
        await self._look()
        return False

    async def _look(self) -> bool:
        """See whether the server runs; True if its restart policy has started it again since the last look.

        Raises ServerDied where it has ended, and where it has ended twice: a policy may heal one crash.
        """
        server = self._server
        try:
            observed = await server.workload.find(server.record.object_id)
        except errors.EngineError as exc:
            # An Engine that does not answer is not a server that has ended.
            server.log.debug("Cannot ask about %s: %s", server.object_name, exc)
            return False
        if observed is None or not observed.runs:
            raise self._told(await death(server, observed, " before it answered"))
        self._observed = observed
        if observed.restarts <= self._restarts:
            return False
        self._restarts = observed.restarts
        ended = observed.exit_before_restart(self._exited.exit_code)
        if observed.restarts > 1:
            text = f"The server {ended.summary()} before it answered, and again after its restart policy had"
            raise self._told(await _with_lines(server, observed, f"{text} started it anew.", ended))
        told = await _with_lines(server, observed, f"The server {ended.summary()}.", ended)
        server.hub.report(f"{told} It is started again, as its restart policy says.")
        server.log.warning("%s: %s It is started again by its restart policy.", server.object_name, told)
        return True

    def _told(self, died: errors.ServerDied) -> errors.ServerDied:
        self._server.log.warning("%s: %s", self._server.object_name, str(died))
        return died

    async def _no_answer(self, seen: Seen | None, ip: str, port: int) -> errors.NoAnswer:
        server = self._server
        known, cure = _known(server, seen, ip, port)
        timeout = server.policy.http_timeout
        text = f"The server runs, but has not answered within {timeout:.0f} s. {known}".rstrip()
        lines = await _last_lines(server, self._observed, server.policy.failure_log_lines)
        failed = errors.NoAnswer(text, lines, advice=cure)
        server.log.warning("%s: %s", server.object_name, str(failed))
        return failed


def _known(server: Server, seen: Seen | None, ip: str, port: int) -> tuple[str, str]:
    """Return what is known of a server that does not answer, and what to do."""
    more_time = "`http_timeout` gives it more time."
    match seen:
        case Seen.UNREACHABLE:
            return (
                "The Hub cannot reach its address: server and Hub are in different networks.",
                f"It is {ip}:{port}. See `network_name`, `use_internal_ip` and `host_ip`.",
            )
        case Seen.SILENCE:
            return f"It accepts connections at {ip}:{port} and says nothing.", more_time
        case Seen.FAILURE:
            return f"At {ip}:{port} it answers with an error of its own (HTTP status 500 or above).", ""
        case Seen.NO_HTTP | Seen.NOT_FOUND | Seen.NO_TLS | Seen.UNTRUSTED:
            how, cure = _OTHERWISE[seen]
            return f"Something answers at {ip}:{port} {how}.", cure
        case Seen.NOTHING:
            cure = "See `cmd` and `port`"
            if server.policy.ip in _LOOPBACK:
                cure = f"`ip` is {server.policy.ip}, so it listens to itself only"
            return (
                f"Nothing listens on its port {server.port}, or nothing that can be reached from outside.",
                f"{cure}; a server takes its port from JUPYTERHUB_SERVICE_URL. {more_time}",
            )
        case None | Seen.UNKNOWN_NAME:
            return "", more_time


async def _either(answer: asyncio.Task[str], exited: ExitEvent, seconds: float) -> None:
    waiting = asyncio.create_task(exited.wait())
    try:
        await asyncio.wait({answer, waiting}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()


async def death(server: Server, observed: Observed | None, when: str = "") -> errors.ServerDied:
    """Return why the server ended: exit code or cause, what to do, and its last lines without secrets."""
    if observed is None:
        return errors.ServerDied(f"The server was removed by somebody else{when}.")
    ended = observed.exit_status
    text = f"The server {ended.summary() if ended else 'stopped'}{when}."
    if observed.sandbox and not ((holder := server.watch.known(observed.sandbox)) and holder.runs):
        text += " Its network had ended before."
    return await _with_lines(server, observed, text, ended)


async def _with_lines(
    server: Server, observed: Observed, text: str, ended: ExitStatus | None
) -> errors.ServerDied:
    if ended is not None and ended.hint:
        text += f" {ended.hint}"
    shown, mine = server.policy.failure_log_lines, server.shared_port
    lines = await _last_lines(server, observed, max(shown, PORT_LINES) if mine else shown)
    told = "\n".join(lines.splitlines()[-shown:]) if shown else ""
    if mine is not None and _PORT_IN_USE.search(lines):
        taken = shared_network.taken_by(mine, "somebody else")
        return errors.PortInUse(f"{text} {taken.message}", told, advice=taken.advice)
    return errors.ServerDied(text, told, advice=ended.advice if ended is not None else "")


async def _last_lines(server: Server, observed: Observed | None, count: int) -> str:
    """Return a server's last lines, with what looks like a secret masked."""
    if not count:
        return ""
    object_id = observed.id if observed is not None else server.record.object_id
    environment = (observed.environment if observed is not None else None) or {}
    lines = await server.workload.last_lines(object_id, count)
    return redact.redacted(lines.strip(), [server.hub.api_token, *redact.secrets_of(environment)])[
        -LOG_CHARACTERS:
    ]
