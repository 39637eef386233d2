"""Services for both kinds of swarm, and what becomes of their tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from asyncdockerspawner.client.client import Client
from asyncdockerspawner.jsontypes import JsonObject

SECONDS = 60.0


def spec(
    name: str,
    labels: Mapping[str, str],
    image: str = "stub:1",
    *,
    condition: str = "none",
    container: Mapping[str, Any] | None = None,
    task: Mapping[str, Any] | None = None,
    **words: Any,
) -> JsonObject:
    """What makes a service of one task; `container`, `task` and `words` are the Engine's words."""
    template = {
        "ContainerSpec": {"Image": image, "Labels": dict(labels), **(container or {})},
        "RestartPolicy": {"Condition": condition},
        **(task or {}),
    }
    endpoint = {"Mode": "dnsrr"}
    return {"Name": name, "Labels": dict(labels), "TaskTemplate": template, "EndpointSpec": endpoint, **words}


async def task_in(client: Client, labels: Mapping[str, str], *states: str, but: str = "") -> JsonObject:
    """Wait until the newest task of these labels, and not `but` this, is in one of these states; gives it."""
    return await task_that(
        client, labels, lambda each: each["Status"]["State"] in states and each["ID"] != but
    )


async def task_that(
    client: Client, labels: Mapping[str, str], test: Callable[[JsonObject], object]
) -> JsonObject:
    """Wait until the newest task of these labels is as wanted; gives it."""
    async with asyncio.timeout(SECONDS):
        while True:
            found = max(await tasks(client, labels), key=lambda each: str(each["CreatedAt"]), default=None)
            if found is not None and test(found):
                return found
            await asyncio.sleep(0.02)


async def none_left(client: Client, labels: Mapping[str, str]) -> None:
    """Wait until no task of these labels is listed any more."""
    async with asyncio.timeout(SECONDS):
        while await tasks(client, labels):  # noqa: ASYNC110 - a swarm has no events of tasks
            await asyncio.sleep(0.02)


async def tasks(client: Client, labels: Mapping[str, str]) -> list[JsonObject]:
    """Give every task of these labels."""
    return await client.tasks.list({"label": [f"{key}={value}" for key, value in labels.items()]})
