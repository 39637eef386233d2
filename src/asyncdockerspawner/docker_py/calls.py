"""From a method's name to its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from asyncdockerspawner import errors, lifecycle
from asyncdockerspawner.client.client import Client
from asyncdockerspawner.docker_py import services, special
from asyncdockerspawner.docker_py.arguments import name_of
from asyncdockerspawner.docker_py.failures import Unsupported, as_docker_py
from asyncdockerspawner.docker_py.pure import PureClient
from asyncdockerspawner.docker_py.table import REQUESTS
from asyncdockerspawner.engine.engine import Engine
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.keywords import create
from asyncdockerspawner.keywords.spelling import nearest
from asyncdockerspawner.lifecycle import Server
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.container.body import ContainerBody
from asyncdockerspawner.workloads.container.workload import ContainerWorkload

Answer = Coroutine[Any, Any, Any]

_running: set[asyncio.Task[Any]] = set()
"""A loop holds its tasks only weakly, and nobody need wait for these."""


def docker(
    server: Server, method: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> asyncio.Task[Any]:
    """Call one of docker-py's methods; it begins at once and gives docker-py's answer.

    Raises Unsupported for a method, and TypeError for words, that there are not. The task raises ours and
    docker-py's errors in one.
    """
    begun = _begun(server, method, args, kwargs)
    task = asyncio.get_running_loop().create_task(_answer(begun))
    _running.add(task)
    task.add_done_callback(_running.discard)
    # A task that is cancelled before its first turn has not awaited it.
    task.add_done_callback(lambda _: begun.close())
    return task


async def create_container(
    server: Server, image: str, command: Any = None, *, name: str | None = None, **words: Any
) -> JsonObject:
    """Create a container from docker-py's words: `{"Id": …, "Warnings": …}`.

    One that takes the server's own name is the server's: it gets the labels that say so, and a spawn that is
    cancelled meanwhile removes it.
    """
    platform = words.pop("platform", None)
    body = _body({"image": image, "command": command, **words})
    creation = _Creation(server.engine.client, platform)
    if name is None or name != server.object_name or server.spawn is None or not server.spawn.live:
        await creation.create(name or "", body)
        return creation.answer
    await lifecycle.claim(server)
    owner = labels.ownership_labels_of(server.owner)
    body = ContainerBody(body).labelled({**owner, **labels.kept_label(server.policy.remove)}).document
    made = await lifecycle.create(creation, name, body, server.owner, server.spawn)
    return {"Warnings": [], **creation.answer, "Id": made}


class _Creation(ContainerWorkload):
    """Creates a container, and keeps the whole answer."""

    def __init__(self, client: Client, platform: str | None) -> None:
        super().__init__(client)
        self.answer: JsonObject = {}
        self._platform = platform

    async def create(self, name: str, body: JsonObject) -> str:
        """Create the container. Raises NameConflict, ImageNotFound, InvalidConfig."""
        params = {"name": name, "platform": self._platform}
        answer = await self._client.connection.request(
            "POST",
            "containers/create",
            operation="create container",
            subject=name,
            params={key: value for key, value in params.items() if value},
            body=body,
        )
        self.answer = dict(answer.data)
        return str(self.answer["Id"])


def _body(words: Mapping[str, Any]) -> JsonObject:
    given = {word: value for word, value in words.items() if value is not None}
    try:
        made = create.create_config(given)
    except errors.BadOption as exc:
        # The words are those of an option, and its complaints name that.
        raise errors.BadOption(str(exc).replace(create.OPTION, "create_container")) from exc
    body = {**made.config, "HostConfig": made.host}
    return {key: value for key, value in body.items() if value is not None}


_PURE = ("create_host_config", "create_networking_config", "create_endpoint_config")
_SPECIAL: Mapping[str, Callable[..., Answer]] = {
    "create_container": create_container,
    **{
        each.__name__: each
        for each in (
            special.connect_container_to_network,
            special.containers,
            special.exec_create,
            special.exec_start,
            special.images,
            special.logs,
            special.networks,
            special.ping,
            special.port,
            special.pull,
            special.put_archive,
            special.remove_volume,
            special.wait,
            services.create_config,
            services.create_secret,
            services.create_service,
            services.inspect_distribution,
            services.service_logs,
            services.update_node,
            services.update_service,
        )
    },
}
METHODS = frozenset({*REQUESTS, *_SPECIAL, *_PURE})


def _begun(server: Server, method: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Answer:
    engine = server.engine
    try:
        if method in REQUESTS:
            request = REQUESTS[method]
            words = request.bind(args, kwargs)
            if method == "start":
                return _start(server, engine, words)
            return request.send(engine.client.connection, method, words)
        if method in _SPECIAL:
            return _SPECIAL[method](server, *args, **kwargs)
        if method in _PURE:
            return _known(getattr(PureClient(engine.settings), method)(*args, **kwargs))
    except TypeError as exc:
        raise TypeError(f"docker({method!r}, …): {exc}") from exc
    meant = nearest(method, METHODS)
    hint = f"did you mean {meant!r}?" if meant else f"it has {', '.join(sorted(METHODS))}."
    raise Unsupported(
        f"docker() has no method {method!r}; {hint} For the rest, `spawner.engine.docker` is an "
        "aiodocker.Docker."
    )


async def _start(server: Server, engine: Engine, words: Mapping[str, Any]) -> Any:
    """Start a container; the server's own is given first what it is to find, as by our own start."""
    await lifecycle.furnished(server, name_of(words["container"], "container"))
    return await REQUESTS["start"].send(engine.client.connection, "start", words)


async def _known(value: Any) -> Any:
    return value


async def _answer(begun: Answer) -> Any:
    try:
        return await begun
    except errors.EngineError as exc:
        raise as_docker_py(exc) from exc
