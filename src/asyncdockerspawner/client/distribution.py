"""What a registry has under an image's name. Source: Docker Engine API v1.41, "Distribution"."""

from __future__ import annotations

from asyncdockerspawner import errors
from asyncdockerspawner.client import translate
from asyncdockerspawner.client.connection import Connection, segment
from asyncdockerspawner.client.registry_auth import header
from asyncdockerspawner.jsontypes import JsonObject

OPERATION = "resolve image"
REGISTRY_TIMEOUT = 5.0
"""An Engine without a way to the registry tries for 15 s and more."""


class Distribution:
    """Verbs on images in a registry; the Engine asks it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def inspect(
        self, image: str, *, registry_auth: str = "", timeout: float = REGISTRY_TIMEOUT
    ) -> JsonObject:
        """Return the image's `Descriptor`, with its `digest`, and the `Platforms` that it is made for.

        `timeout` is in seconds. Raises PullError for whatever is between the Engine and the image.
        """
        try:
            answer = await self._connection.request(
                "GET",
                f"distribution/{segment(image, parts=True)}/json",
                operation=OPERATION,
                subject=image,
                headers=header(registry_auth),
                timeout=timeout,
            )
        except (errors.EngineUnavailable, errors.EngineLost, errors.EngineTimeout, errors.Forbidden):
            raise
        except errors.EngineError as exc:
            raise translate.pull_failure(
                exc.message, subject=image, status=exc.status, operation=OPERATION
            ) from exc
        return dict(answer.data)
