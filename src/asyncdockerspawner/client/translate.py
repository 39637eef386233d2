"""Foreign failures become ours, in one table.

The Engine gives HTTP 404, 409 and 500 several meanings each, and Podman other texts than Docker: answers are
classified by status *and* message. Connection failures are told apart by one question: can the Engine have
seen the request?
"""

from __future__ import annotations

import errno
import html
import json
import re
import ssl
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiodocker.exceptions import DockerError

from asyncdockerspawner import errors
from asyncdockerspawner.errors import PullReason
from asyncdockerspawner.jsontypes import JsonObject

PAGE_CHARACTERS = 200
"""Of a page that something else than the Engine answers with, at most."""
CONNECTION_FAILED = 900
"""The status that aiodocker gives a request without an answer."""


class UnreadableAnswer(Exception):
    """What came is not what an Engine says."""


FOREIGN = (DockerError, aiohttp.ClientError, OSError, UnreadableAnswer)
"""All that a request fails with; any other exception is a fault of this program's, or of a hook's."""
NO_ANSWER = (errors.EngineUnavailable, errors.EngineLost, errors.EngineTimeout)


def json_of(text: bytes) -> Any:
    """Decode what an Engine has sent. Raises UnreadableAnswer."""
    try:
        return json.loads(text)
    except ValueError as exc:
        raise UnreadableAnswer(str(exc)) from exc


@dataclass(frozen=True, slots=True)
class _Rule:
    kind: type[errors.EngineError]
    statuses: tuple[int, ...]
    pattern: re.Pattern[str]
    operation: str = ""

    def applies(self, status: int, message: str, operation: str) -> bool:
        return (
            self.operation in {"", operation}
            and (not self.statuses or status in self.statuses)
            and self.pattern.search(message) is not None
        )


def _rule(
    kind: type[errors.EngineError], statuses: tuple[int, ...], pattern: str, operation: str = ""
) -> _Rule:
    return _Rule(kind, statuses, re.compile(pattern, re.IGNORECASE | re.DOTALL), operation)


_DISK_FULL = _rule(errors.DiskFull, (), r"no space left on device")
_RULES = (
    # First, whatever was being done: no option of ours mends it.
    _DISK_FULL,
    # Neither has done anything, and both pass: a manager that starts again says the second for a while.
    _rule(
        errors.EngineUnavailable,
        (500, 503),
        r"swarm does not have a leader|manager is being prepared",
    ),
    _rule(
        errors.NotSwarmManager,
        (500, 503),
        r"not a swarm manager|not part of a swarm|swarm is encrypted|swarm certificates have expired",
    ),
    _rule(errors.NameConflict, (409, 500), r"name \S+ is already in use"),
    _rule(
        errors.NameConflict,
        (409,),
        r"name conflicts with an existing object|^(secret|config) \S+ already exists",
    ),
    _rule(
        errors.RemovalInProgress,
        (409, 500),
        r"removal of container .* is already in progress|marked for removal",
    ),
    # What a service was to have; nothing has been done. Some of it the manager calls its own fault.
    *(
        _rule(
            errors.InvalidConfig,
            (403, 404, 500),
            r"network \S+ (not found|cannot be used)|^constraint expected|^(key|value) '.*' is invalid",
            operation=f"{verb} service",
        )
        for verb in ("create", "update")
    ),
    _rule(errors.ImageNotFound, (404,), r"no such image|image not known|unable to find image"),
    *(
        _rule(errors.ObjectNotFound, (404,), r"", operation=f"{verb} network")
        for verb in ("inspect", "connect", "disconnect", "remove")
    ),
    # A 404 from start is about the network the container was created with, not about the container.
    _rule(errors.StartFailed, (404,), r"network .* not found"),
    _rule(errors.InvalidConfig, (404,), r"error looking up volume plugin"),
    _rule(errors.ObjectNotFound, (404,), r""),
    # Newer Engines say so of the container whose network is shared.
    _rule(errors.ObjectNotFound, (500,), r"joining network namespace of container: no such container"),
    _rule(errors.PortTaken, (500,), r"port is already allocated|address already in use"),
    _rule(
        errors.StartFailed,
        (400, 500),
        r"OCI runtime|could not select device driver|CDI device|failed to create (shim )?task"
        r"|attempted to invoke a command|userland proxy|driver failed programming",
    ),
    _rule(errors.ReadOnlyFiles, (400, 500), r"is marked read-only", operation="put files"),
    _rule(errors.EngineUnavailable, (400,), r"HTTP request to an HTTPS server"),
    _rule(errors.VersionRefused, (400,), r"client version \S+ is too (old|new)"),
    _rule(errors.InvalidConfig, (400,), r""),
    _rule(errors.InvalidConfig, (500,), r"cannot unmarshal|names must match"),
    # Docker calls many a mistake of whoever asks its own; which ones differs from release to release.
    _rule(
        errors.InvalidConfig,
        (500,),
        r"\binvalid\b|is supported only|cannot mkdir|not supported",
        operation="create container",
    ),
    _rule(
        errors.StartFailed,
        (500,),
        r"\binvalid\b|seccomp profile|gathering device information|mount source path|mounting volume"
        r"|no matching entries|must be in range",
        operation="start container",
    ),
    _rule(errors.EngineRefused, (), r""),
)

_GRPC = re.compile(r"^rpc error: code = \w+ desc = ")
"""What a swarm's managers say to each other, before what is said to whoever asks; the status says it too."""

_NEVER_SENT_ERRNO = {errno.ENOENT, errno.ECONNREFUSED, errno.EACCES, errno.EPERM, errno.ENOTCONN}


def from_answer(
    status: int, message: str, *, operation: str, subject: str, request: str = ""
) -> errors.EngineError:
    """Return the error for an answer of 4xx or 5xx; `request` is what was asked, as in "GET /info"."""
    if (between := _from_between(status, message, request or "this request")) is not None:
        kind, message = between
        return kind(operation, subject, message, status=status)
    message = _GRPC.sub("", _sentence(message))
    for rule in _RULES:
        if rule.applies(status, message, operation):
            if rule.kind is errors.NameConflict:
                holder = re.search(r"\b([0-9a-f]{64})\b", message)
                return errors.NameConflict(
                    operation, subject, message, status=status, holder=holder and holder.group(1)
                )
            if rule.kind is errors.EngineUnavailable and status == 400:
                message = (
                    "the Engine speaks TLS at this address and was asked without; set DOCKER_TLS_VERIFY and "
                    "DOCKER_CERT_PATH, or `tls_config`"
                )
            return rule.kind(operation, subject, message, status=status)
    raise AssertionError("the last rule takes everything")


_PULL_REASONS = tuple(
    (reason, re.compile(pattern, re.IGNORECASE))
    for reason, pattern in (
        (PullReason.LIMITED, r"toomanyrequests|too many requests|rate.?limit"),
        (PullReason.INSECURE, r"HTTP response to HTTPS client|x509|tls: (?!handshake timeout)"),
        (
            PullReason.PLATFORM,
            r"no matching manifest|no match for platform|no image found in .* for architecture",
        ),
        # "denied" comes first where both are said: a registry does not tell a stranger what it has.
        (
            PullReason.DENIED,
            r"denied|unauthorized|authentication|no basic auth|incorrect user|forbidden|\b40[13]\b",
        ),
        (
            PullReason.NETWORK,
            r"dial tcp|lookup |no such host|connection (refused|reset)|no route to host|unreachable",
        ),
        (PullReason.NETWORK, r"timeout|timed out|deadline|\bEOF\b|broken pipe|\b50[0234]\b|unavailable"),
        (PullReason.UNKNOWN, r"manifest unknown|name unknown|not found|not known to registry|does not exist"),
    )
)


def pull_failure(
    message: str, *, subject: str, status: int | None = None, operation: str = "pull image"
) -> errors.EngineError:
    """Return the error for a pull's failure, in the words of Docker, Podman or the registry."""
    message = _sentence(message)
    if _DISK_FULL.pattern.search(message):
        return errors.DiskFull(operation, subject, message, status=status)
    reason = next(
        (reason for reason, pattern in _PULL_REASONS if pattern.search(message)), PullReason.UNCLEAR
    )
    return errors.PullError(operation, subject, message, status=status, reason=reason)


def error_in(line: JsonObject) -> tuple[str, int | None] | None:
    """Return sentence and code of an error inside a stream of status 200; None for any other line."""
    if "error" not in line and "errorDetail" not in line:
        return None
    found = line.get("errorDetail")
    detail = found if isinstance(found, dict) else {}
    return str(detail.get("message") or line.get("error") or "unknown error"), detail.get("code")


_FORBIDDEN = re.compile(
    r"^\s*<|^\s*(\d+ )?(forbidden|unauthorized|access denied|method not allowed)\W*$"
    r"|authorization denied by plugin",
    re.IGNORECASE,
)
_GATEWAY = re.compile(r"^\s*<|^\s*(bad gateway|service unavailable|gateway time-?out)\s*$", re.IGNORECASE)


def _from_between(status: int, message: str, request: str) -> tuple[type[errors.EngineError], str] | None:
    """Tell the answers of proxies, filters and authorization plugins from the Engine's own."""
    if status in {401, 403, 405, 407} and _FORBIDDEN.search(message):
        reason = f"a filter before the Engine, such as docker-socket-proxy, does not let {request} through"
        return errors.Forbidden, reason
    if not _GATEWAY.search(message):
        return None
    if status == 503:
        return errors.EngineUnavailable, f"the proxy before the Engine does not reach it ({_plain(message)})"
    if status in {502, 504}:
        return errors.EngineLost, f"the proxy before the Engine got no answer from it ({_plain(message)})"
    return None


def from_exception(exc: Exception, *, operation: str, subject: str, request: str = "") -> errors.EngineError:
    """Return the error for one of FOREIGN."""
    if isinstance(exc, DockerError) and exc.status != CONNECTION_FAILED:
        return from_answer(
            exc.status, str(exc.message), operation=operation, subject=subject, request=request
        )
    cause = exc.__context__ if isinstance(exc, DockerError) else exc
    if _never_sent(cause):
        return errors.EngineUnavailable(operation, subject, _unreachable(cause))
    if isinstance(cause, TimeoutError):
        return errors.EngineTimeout(operation, subject, "no answer within the deadline")
    if isinstance(cause, UnreadableAnswer):
        return errors.EngineLost(operation, subject, f"the answer cannot be read ({cause})")
    return errors.EngineLost(operation, subject, f"the connection broke ({cause})")


def tls_failure(cause: BaseException | None) -> BaseException | None:
    """Return the TLS failure that an exception is, or stands for.

    aiohttp hands on the server's alerts as an OSError whose number is OpenSSL's, which is that of EPERM.
    """
    for each in (cause, cause.__cause__ if cause is not None else None):
        if isinstance(each, aiohttp.ClientSSLError | ssl.SSLError):
            return each
    return None


def _never_sent(cause: BaseException | None) -> bool:
    if isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return True
    failure = tls_failure(cause)
    if isinstance(failure, ssl.SSLError):
        # The Engine wants another certificate of us: it has read nothing. Other alerts may come at any time.
        return any(word in (failure.reason or "") for word in ("CERTIFICATE", "UNKNOWN_CA"))
    return isinstance(cause, OSError) and cause.errno in _NEVER_SENT_ERRNO


def _unreachable(cause: BaseException | None) -> str:
    if tls_failure(cause) is not None:
        return (
            f"no TLS connection to the Engine ({cause}); check the files in DOCKER_CERT_PATH or `tls_config`"
        )
    number = getattr(cause, "errno", None)
    if number in {errno.EACCES, errno.EPERM}:
        return "no permission on the Engine's socket; let the Hub's user into its group (usually `docker`)"
    return (
        f"the Engine cannot be reached ({cause}); is it running, and does DOCKER_HOST or "
        "`client_kwargs` name the right address?"
    )


def _sentence(message: str) -> str:
    # aiodocker parses error bodies only for exactly `application/json`; others arrive as raw text.
    if message.lstrip().startswith("{"):
        try:
            parsed = json.loads(message)
        except ValueError:
            return message
        return str(parsed.get("message") or parsed.get("cause") or message)
    return _plain(message)


def _plain(message: str) -> str:
    """Return the text of a page; any other message as it is."""
    if not message.lstrip().startswith("<"):
        return message.strip()
    text = re.sub(r"<(title|style|script)\b.*?</\1>|<[^>]*>", " ", message, flags=re.IGNORECASE | re.DOTALL)
    return " ".join(html.unescape(text).split())[:PAGE_CHARACTERS]
