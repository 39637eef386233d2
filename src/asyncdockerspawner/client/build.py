"""Images made by the Engine itself. Source: Docker Engine API v1.41, "Build an image"."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass

from asyncdockerspawner import errors
from asyncdockerspawner.client import translate
from asyncdockerspawner.client.connection import Connection, objects, segment
from asyncdockerspawner.jsontypes import JsonObject

UPLOAD_TIMEOUT = 600.0
"""The answer begins when the Engine has the whole context."""
IDLE_TIMEOUT = 1800.0
"""A build that says nothing for so long has broken off; pip says little while it installs."""
FORGET_TIMEOUT = 15.0
PIECE = 2**16


@dataclass(frozen=True, slots=True)
class _Pieces:
    """A body in pieces, as often as it is asked for; sent whole, a large one would hold up the loop."""

    data: bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self.data), PIECE):
            yield self.data[at : at + PIECE]


class Builds:
    """Verbs on builds, with the classic builder: what it says is one text that reads as a terminal's."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def build(  # noqa: PLR0913 - a build has this many options
        self,
        context: bytes,
        *,
        subject: str,
        tag: str | None = None,
        pull: bool = False,
        no_cache: bool = False,
        network: str | None = None,
        build_args: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        on_line: Callable[[JsonObject], None] | None = None,
    ) -> str:
        """Build an image from a tar archive with a `Dockerfile`; returns its id. Cancelled, the build ends.

        `subject` is what errors call it. `pull` fetches the base also where the Engine has it. `on_line` gets
        each line of the answer. Raises BuildFailed for what the Engine refuses, also inside a stream of
        status 200.
        """
        params = {
            # BuildKit would want a session of gRPC.
            "version": "1",
            "rm": True,
            "forcerm": True,
            "pull": pull,
            "nocache": no_cache,
            **({"t": tag} if tag else {}),
            **({"networkmode": network} if network else {}),
            **({"buildargs": json.dumps(dict(build_args))} if build_args else {}),
            **({"labels": json.dumps(dict(labels))} if labels else {}),
        }
        made = None
        try:
            async with (
                self._connection.stream(
                    "POST",
                    "build",
                    operation="build image",
                    subject=subject,
                    params=params,
                    headers={"Content-Type": "application/x-tar"},
                    body=_Pieces(context),
                    timeout=UPLOAD_TIMEOUT,
                    idle=IDLE_TIMEOUT,
                ) as chunks,
                aclosing(objects(chunks)) as lines,
            ):
                async for line in lines:
                    _refuse(line, subject)
                    aux = line.get("aux")
                    made = (isinstance(aux, dict) and aux.get("ID")) or made
                    if on_line is not None:
                        on_line(line)
        except (errors.EngineRefused, errors.InvalidConfig, errors.ObjectNotFound) as exc:
            raise errors.BuildFailed("build image", subject, exc.message, status=exc.status) from exc
        if made is None:
            raise errors.BuildFailed("build image", subject, "the Engine's answer ended before the build")
        return str(made)

    async def tag(self, image: str, name: str, tag: str) -> None:
        """Tag an image; an image that has that name loses it. Raises ImageNotFound."""
        await self._connection.request(
            "POST",
            f"images/{segment(image, parts=True)}/tag",
            operation="tag image",
            subject=image,
            params={"repo": name, "tag": tag},
            repeatable=True,
        )

    async def remove(self, image: str) -> None:
        """Remove an image with its unnamed parents; one that is gone is as good."""
        try:
            await self._connection.request(
                "DELETE",
                f"images/{segment(image, parts=True)}",
                operation="remove image",
                subject=image,
                repeatable=True,
            )
        except errors.ObjectNotFound:
            return

    async def forget(self, label: str) -> None:
        """Remove the unnamed images that carry `key=value`, which a stage of a build leaves."""
        end = time.monotonic() + FORGET_TIMEOUT
        params = {"filters": json.dumps({"dangling": ["true"], "label": [label]})}
        while await self._found(params):
            await self._connection.request(
                "POST", "images/prune", operation="prune images", params=params, repeatable=True
            )
            if time.monotonic() >= end:
                return
            # A build that was cut off still uses them for a moment.
            await asyncio.sleep(0.2)

    async def _found(self, params: Mapping[str, str]) -> bool:
        answer = await self._connection.request("GET", "images/json", operation="list images", params=params)
        return bool(answer.data)


def _refuse(line: JsonObject, subject: str) -> None:
    if (failed := translate.error_in(line)) is not None:
        message, code = failed
        raise errors.BuildFailed("build image", subject, message, code=code)
