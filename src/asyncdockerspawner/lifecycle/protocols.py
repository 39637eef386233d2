"""What a server's life asks of others: a site's steps, and the Hub."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from asyncdockerspawner.workloads.body import Body
from asyncdockerspawner.workloads.observed import Observed

Log = logging.Logger | logging.LoggerAdapter[Any]


class Overrides(Protocol):
    """The steps that sites and subclasses may do in their own way, already awaited."""

    async def choose(self, *, final: bool) -> None:
        """Have this spawn's values and take the user's image. Raises what refuses it."""

    async def pull(self, image: str) -> None:
        """Bring the image to the Engine's machine."""

    def use_image(self, image: str) -> None:
        """Go on with this image."""

    def usual_name(self) -> str:
        """Return the name of a new object. Raises BadTemplate, or what a site's own code raises."""

    async def body(self) -> Body:
        """Return what the object would be made from now."""

    async def find(self) -> Observed | None:
        """Return the object of the recorded id, else of the name; None where there is none."""

    async def create(self) -> str:
        """Create the object and return its id."""

    async def start(self) -> None:
        """Start the object."""

    async def after_start(self) -> None:
        """Run `post_start_cmd`."""

    async def address(self) -> tuple[str, int]:
        """Return address and port at which the Hub reaches the server. Raises NoEndpoint."""

    async def stop(self) -> None:
        """Stop the object."""

    async def remove(self) -> None:
        """Remove the object."""


class Names(Protocol):
    """What the Hub calls a server and itself, and where both are, each time that it is asked for."""

    @property
    def hub_id(self) -> str:
        """What tells this Hub from others at the same Engine."""

    @property
    def username(self) -> str:
        """The user's name."""

    @property
    def servername(self) -> str:
        """The server's name; empty for the default server."""

    @property
    def prefix(self) -> str:
        """Path below which the Hub serves it, such as `/user/alice/`."""

    @property
    def api_url(self) -> str:
        """Address at which servers reach the Hub's API; empty without a Hub."""


class Rows(Protocol):
    """What the Hub's database says of other servers, also when this one's own row is gone."""

    def naming(self, object_id: str) -> Sequence[str]:
        """Return the other servers whose state names an object, as `user/server`."""

    def with_volume(self, name: str, servername: str | None) -> Sequence[str]:
        """Return the others that have a volume: of other users, or with `servername` all but that one."""

    def user_exists(self) -> bool:
        """Tell whether the database has a user of this name."""

    def sister_states(self) -> Mapping[str, Mapping[str, Any]]:
        """Return name → saved state of the user's other servers."""

    def leave_nodes(self, nodes: Mapping[str, str]) -> None:
        """Have the user's default server remember nodes of volumes, as this server's row is about to go."""


class Link(Protocol):
    """The Hub, as far as a server tells it something or asks it."""

    @property
    def log(self) -> Log:
        """The Hub's log."""

    @property
    def names(self) -> Names:
        """What server and Hub are called."""

    @property
    def api_token(self) -> str:
        """The server's own token: a secret."""

    @property
    def is_ready(self) -> bool:
        """Whether the Hub takes the server for running."""

    @property
    def is_wrapped(self) -> bool:
        """Whether the Hub has another spawner for this server, such as wrapspawner's."""

    def report(self, message: str, *, progress: int | None = None, topic: str = "") -> None:
        """Show a line to the user who waits; one of the same `topic` as the last takes its place."""

    def save(self, *, commit: bool = False) -> None:
        """Put the record where the Hub's next commit writes it, or commit it now."""

    def strike_off(self) -> None:
        """Take an owed stop out of the database."""

    def use_token(self, token: str) -> None:
        """Know the server by the token that it was created with."""

    async def ended(self) -> None:
        """Have the Hub take the server for stopped."""

    async def moved(self, ip: str, port: int, *, route: bool = True) -> None:
        """Have the Hub reach the server elsewhere, and its proxy where it has a `route` already."""

    def rows(self) -> Rows:
        """Return what can be asked of the database, now and later."""
