"""Images. Source: Docker Engine API v1.41, "Images"."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing

from asyncdockerspawner import errors
from asyncdockerspawner.client import registry_auth, translate
from asyncdockerspawner.client.connection import Connection, objects, segment
from asyncdockerspawner.jsontypes import JsonObject

IDLE_TIMEOUT = 300.0
"""A pull that says nothing for so long has broken off; unpacking a large layer is silent for minutes."""


def full_name(name: str, tag: str) -> str:
    """Return the reference that a pull's two parameters make up; a digest stands in the tag's place."""
    return f"{name}@{tag}" if ":" in tag else f"{name}:{tag}"


class Images:
    """Verbs on images."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def inspect(self, image: str) -> JsonObject | None:
        """Return the image's document, or None where the Engine's machine has no such image."""
        try:
            answer = await self._connection.request(
                "GET",
                f"images/{segment(image, parts=True)}/json",
                operation="inspect image",
                subject=image,
            )
        except errors.ObjectNotFound:
            return None
        return dict(answer.data)

    async def pull(
        self,
        name: str,
        tag: str,
        *,
        platform: str | None = None,
        auth: JsonObject | None = None,
        on_line: Callable[[JsonObject], None] | None = None,
    ) -> None:
        """Pull NAME at a tag or digest; cancelled, the Engine stops pulling. An empty tag means all of them.

        `auth` are the registry's words: `username`, `password` or `identitytoken`, `serveraddress`.
        `on_line` gets each progress line. Raises PullError for every failure, also those that the Engine
        reports inside a stream of status 200, DiskFull and Forbidden. The caller proves success by `inspect`.
        """
        subject = full_name(name, tag)
        try:
            async with (
                self._connection.stream(
                    "POST",
                    "images/create",
                    operation="pull image",
                    subject=subject,
                    params={"fromImage": name, "tag": tag, **({"platform": platform} if platform else {})},
                    headers=None if auth is None else registry_auth.header(registry_auth.encoded(auth)),
                    idle=IDLE_TIMEOUT,
                ) as chunks,
                aclosing(objects(chunks)) as lines,
            ):
                async for line in lines:
                    self._take(line, subject, on_line)
        except (errors.EngineUnavailable, errors.Forbidden, errors.PullError, errors.DiskFull):
            raise
        except (errors.EngineLost, errors.EngineTimeout) as exc:
            raise errors.PullError(
                "pull image", subject, exc.message, reason=errors.PullReason.NETWORK
            ) from exc
        except errors.EngineError as exc:
            raise translate.pull_failure(exc.message, subject=subject, status=exc.status) from exc

    async def load(self, archive: bytes, *, subject: str) -> None:
        """Load images from an archive as `docker save` writes it. Raises EngineRefused."""
        async with (
            self._connection.stream(
                "POST",
                "images/load",
                operation="load image",
                subject=subject,
                params={"quiet": "1"},
                headers={"Content-Type": "application/x-tar"},
                body=archive,
                idle=IDLE_TIMEOUT,
            ) as chunks,
            aclosing(objects(chunks)) as lines,
        ):
            async for line in lines:
                if (failed := translate.error_in(line)) is not None:
                    raise errors.EngineRefused("load image", subject, failed[0])

    @staticmethod
    def _take(line: JsonObject, subject: str, on_line: Callable[[JsonObject], None] | None) -> None:
        if (failed := translate.error_in(line)) is not None:
            raise translate.pull_failure(failed[0], subject=subject)
        if on_line is not None:
            on_line(line)
