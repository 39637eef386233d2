"""The errors of this package, drawn as one tree.

AsyncDockerSpawnerError
├─ ProgramFailed              a helper program could not be run, or not to its end
├─ EngineError(operation, subject, status, message)
│    ├─ EngineUnavailable      the request was never sent
│    ├─ EngineLost             it was sent, the answer is unknown
│    ├─ EngineTimeout          it was sent, no answer came within the deadline
│    ├─ ObjectNotFound         404: no such container, service, volume or network
│    ├─ ImageNotFound          404: no such image at the Engine
│    ├─ NameConflict           the name is taken
│    ├─ RemovalInProgress      somebody's removal of the container is under way
│    ├─ InvalidConfig          the Engine refuses what it was asked to create
│    ├─ StartFailed            created, but the Engine cannot run it
│    │    └─ PortTaken         as a port of its machine is another's
│    ├─ PullError              the image could not be fetched, for a `reason`
│    ├─ BuildFailed            the image could not be built
│    ├─ DiskFull               the Engine's machine has no space left
│    └─ EngineRefused          any other answer of 4xx or 5xx
│         ├─ Forbidden         a filter before the Engine does not let the request through
│         ├─ NotSwarmManager   it is about a swarm, and the Engine is no manager of one
│         └─ VersionRefused    the Engine does not speak this version of its API
└─ SpawnRefused                a spawn cannot go on
     ├─ BadOption{BadTemplate, SiteCodeFailed} · BadReference · ImageNotAllowed · ImageUnavailable
     ├─ ServerFailed{ServerDied{PortInUse} · NoAnswer}
     ├─ NoEndpoint{NoAddressYet} · NotOurs{KeptForAnother}
     └─ QueueTimeout{StillStopping} · NotPlaced · RenameRefused

A class exists because somebody catches it. `docs`: Docker Engine API v1.41, and what Engines
really answer (`client/translate`).

Two people read about a spawn that failed. The user who waits reads the `message` on the Hub's page: what
happened, and what a user can do. The administrator reads the Hub's log, which has str(): the message, and the
`advice` that names option and cure. Who reads what is decided in `hub_errors`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncdockerspawner.workloads.observed import Observed


class AsyncDockerSpawnerError(Exception):
    """Every error that this package raises on purpose.

    `message` says what happened, in sentences that any user may read; `advice` is for the administrator
    alone: which option, and what to do.
    """

    def __init__(self, message: str = "", *, advice: str = "") -> None:
        self.message = message
        self.advice = advice
        super().__init__(f"{message} {advice}" if advice else message)

    def __reduce__(self) -> tuple[Any, ...]:
        # Most are not made of their text alone.
        return _again, (type(self), self.args, self.__dict__)


def _again(
    kind: type[AsyncDockerSpawnerError], args: tuple[Any, ...], attributes: dict[str, Any]
) -> AsyncDockerSpawnerError:
    """Make an error that was pickled or copied."""
    found = kind.__new__(kind)
    found.args = args
    found.__dict__.update(attributes)
    return found


class ProgramFailed(AsyncDockerSpawnerError):
    """A helper program could not be run, took too long or said too much; the text names it."""


class EngineError(AsyncDockerSpawnerError):
    """A request to the Engine failed.

    `operation` is the verb ("create container"), `subject` what it was about (a name or id), `status` the
    HTTP status or None where there was no answer, `message` the Engine's own sentence.
    """

    def __init__(self, operation: str, subject: str, message: str, *, status: int | None = None) -> None:
        answer = f" [{status}]" if status is not None else ""
        super().__init__(f"{operation} {subject!r}{answer}: {message}")
        self.operation = operation
        self.subject = subject
        self.message = message
        self.status = status


class EngineUnavailable(EngineError):
    """The Engine could not be reached; the request was never sent, so it is safe to send again."""


class EngineLost(EngineError):
    """The connection broke after the request was sent; the Engine may or may not have acted on it."""


class EngineTimeout(EngineError):
    """No complete answer within the call's deadline; the Engine may still act on the request."""


class ObjectNotFound(EngineError):
    """The Engine knows no such container, service, volume, network or whatever else was asked for."""


class ImageNotFound(ObjectNotFound):
    """The image is not on the Engine's machine."""


class NameConflict(EngineError):
    """An object of that name exists; `holder` is its id where the Engine tells it: that of a container."""

    def __init__(
        self, operation: str, subject: str, message: str, *, status: int | None, holder: str | None
    ) -> None:
        super().__init__(operation, subject, message, status=status)
        self.holder = holder


class RemovalInProgress(EngineError):
    """The container is being removed by somebody else; it still exists for a moment."""


class InvalidConfig(EngineError):
    """The Engine refuses the configuration it was sent."""


class StartFailed(EngineError):
    """The container exists but cannot be run: command, port, device, network or mount at fault."""


class PortTaken(StartFailed):
    """A port of the Engine's machine that the container was to have is another's."""


class PullReason(StrEnum):
    """Why an image could not be pulled."""

    DENIED = "denied"
    """The registry wants other credentials, or has no such image and does not say which."""
    LIMITED = "limited"
    """Too many pulls for now."""
    UNKNOWN = "unknown"
    """The registry has no such image."""
    PLATFORM = "platform"
    """The image is not made for the Engine's kind of machine."""
    INSECURE = "insecure"
    """The Engine does not trust the registry's TLS, or the registry has none."""
    NETWORK = "network"
    """The registry was not reached, or the connection broke."""
    UNCLEAR = ""
    """The message says none of these."""


class PullError(EngineError):
    """An image could not be pulled; `message` is the registry's or Engine's sentence."""

    def __init__(
        self,
        operation: str,
        subject: str,
        message: str,
        *,
        status: int | None = None,
        reason: PullReason = PullReason.UNCLEAR,
    ) -> None:
        super().__init__(operation, subject, message, status=status)
        self.reason = reason


class DiskFull(EngineError):
    """The Engine's machine has no space left for what it was asked to do."""


class BuildFailed(EngineError):
    """An image could not be built; `code` is the exit code of the command that failed, if one did."""

    def __init__(
        self,
        operation: str,
        subject: str,
        message: str,
        *,
        status: int | None = None,
        code: int | None = None,
    ) -> None:
        super().__init__(operation, subject, message, status=status)
        self.code = code


class EngineRefused(EngineError):
    """Any other error answer of the Engine."""


class ReadOnlyFiles(EngineRefused):
    """A container, or a volume in it, is read-only where a file was to be put."""


class Forbidden(EngineRefused):
    """A filter before the Engine, docker-socket-proxy or a plugin, does not let the request through."""


class NotSwarmManager(EngineRefused):
    """The Engine is in no swarm, a worker of one, or a manager that is locked: it speaks for no swarm."""


class VersionRefused(EngineRefused):
    """The Engine does not speak the version of its API that it was asked in."""


class SpawnRefused(AsyncDockerSpawnerError):
    """A spawn cannot go on; with an `advice`, its user is sent to the administrator."""

    status = 500


class BadOption(SpawnRefused):
    """An option's value is not usable.

    Without an `advice`, the whole text is the administrator's: it names the option and what to do.
    """


class BadTemplate(BadOption):
    """A template of the configuration cannot be rendered."""


class SiteCodeFailed(BadOption):
    """A function that a site has configured raised; its exception is the cause, which the log shows."""


class BadReference(SpawnRefused):
    """What should name an image does not; the text says which part is wrong."""

    status = 400


class ImageUnavailable(SpawnRefused):
    """The image is not there and may not, or cannot, be pulled."""


class ImageNotAllowed(SpawnRefused):
    """The user may not choose this image."""

    status = 400


class NoEndpoint(SpawnRefused):
    """The server runs, but there is no address at which the Hub could reach it."""


class NoAddressYet(NoEndpoint):
    """The server is in the right network, and has not been given an address there, or a port."""


class ServerFailed(SpawnRefused):
    """The server was started and is of no use; `lines` are the last it has written."""

    def __init__(self, message: str, lines: str = "", *, advice: str = "") -> None:
        super().__init__(message, advice=advice)
        self.lines = lines

    def __str__(self) -> str:
        return self.quoted(super().__str__())

    def quoted(self, text: str) -> str:
        """Return a text with the server's lines behind it."""
        return f"{text} Its last words: {self.lines}" if self.lines else text


class ServerDied(ServerFailed):
    """The server's process ended before the server answered."""


class PortInUse(ServerDied):
    """Somebody else has the port that the server was to listen on, in a network that it shares with them."""


class NoAnswer(ServerFailed):
    """The server's process runs, and the server has not answered in time."""


class NotOurs(SpawnRefused):
    """An object of the wanted name belongs to somebody else."""

    status = 409


class KeptForAnother(NotOurs):
    """The object is another server's by its record in the Hub's database."""

    def __init__(self, message: str, *, advice: str, observed: Observed) -> None:
        self.observed = observed
        super().__init__(message, advice=advice)


class QueueTimeout(SpawnRefused):
    """The server's turn to start did not come in time."""

    status = 503


class StillStopping(QueueTimeout):
    """What an earlier server has left could not be ended yet, so this one's turn does not come."""


class NotPlaced(SpawnRefused):
    """A swarm has no node for the server, or not the one that its files are on."""


class RenameRefused(SpawnRefused):
    """The server cannot take another name."""

    status = 409
