"""docker-py's methods that are one request: how their words become it.

Source: docker-py 7's `APIClient` for words and defaults, Engine API v1.41 for the rest. What is more than a
request has a function in `special`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from asyncdockerspawner.client.connection import Answer, Connection
from asyncdockerspawner.client.containers import START_TIMEOUT
from asyncdockerspawner.docker_py.arguments import filter_lists, name_of, path_part
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.keywords.merge import plain

SLOW_TIMEOUT = 120.0
"""What stopping may take beyond the grace, and removing an image."""
REFERENCES = frozenset({"container", "image", "net_id", "exec_id"})
"""Words that may also be a document with an id."""


def _nothing(answer: Answer) -> None:
    del answer


def _document(answer: Answer) -> Any:
    return answer.data


def _done(answer: Answer) -> bool:
    del answer
    return True


def _created(answer: Answer) -> bool:
    return answer.status == 201


@dataclass(frozen=True, slots=True)
class Request:
    """One method: `required` words come first, then `optional` ones with their defaults.

    Words in the path, in `query` and in `body` (word → the Engine's key) are sent there; None is not sent.
    """

    verb: str
    path: str
    required: Sequence[str] = ()
    optional: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, str] = field(default_factory=dict)
    answer: Callable[[Answer], Any] = _nothing
    operation: str = ""
    timeout: float | None = None
    grace: float | None = None
    """Seconds that the word `timeout` adds to the time limit where it is None."""
    repeatable: bool = False

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Bind each keyword to its value. Raises TypeError as a call does."""
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        words = [inspect.Parameter(word, kind) for word in self.required]
        words += [inspect.Parameter(word, kind, default=value) for word, value in self.optional.items()]
        bound = inspect.Signature(words).bind(*args, **kwargs)
        bound.apply_defaults()
        return bound.arguments

    async def send(self, connection: Connection, method: str, words: Mapping[str, Any]) -> Any:
        """Ask the Engine; returns what docker-py gives."""
        parts = {word: path_part(words[word], word) for word in self.required if f"{{{word}}}" in self.path}
        answer = await connection.request(
            self.verb,
            self.path.format(**parts),
            operation=self.operation or method.replace("_", " "),
            subject=name_of(words[self.required[0]], self.required[0]) if self.required else "",
            params=_sent(words, self.query),
            body=_sent(words, self.body) if self.body else None,
            timeout=self._timeout_for(words),
            repeatable=self.repeatable,
        )
        return self.answer(answer)

    def _timeout_for(self, words: Mapping[str, Any]) -> float | None:
        if self.grace is None:
            return self.timeout
        given = words["timeout"]
        return SLOW_TIMEOUT + float(self.grace if given is None else given)


def _sent(words: Mapping[str, Any], keys: Mapping[str, str]) -> JsonObject:
    values = {key: _written(words[word], word) for word, key in keys.items()}
    return {key: value for key, value in values.items() if value is not None}


def _written(value: Any, word: str) -> Any:
    if word == "filters":
        return filter_lists(value)
    return name_of(value, word) if word in REFERENCES else plain(value)


def _get(path: str, *required: str, **rest: Any) -> Request:
    return Request("GET", path, required, answer=_document, **rest)


def _list(path: str, **rest: Any) -> Request:
    words = {"filters": None, **rest}
    keys = {word: word for word in words}
    return _get(path, optional=words, query=keys)


def _remove(path: str, word: str) -> Request:
    return Request("DELETE", path, (word,), answer=_done)


def _post(path: str, *required: str, **rest: Any) -> Request:
    return Request("POST", path, required, **rest)


REQUESTS: Mapping[str, Request] = {
    # Containers
    "start": _post("containers/{container}/start", "container", timeout=START_TIMEOUT, repeatable=True),
    "stop": _post(
        "containers/{container}/stop",
        "container",
        optional={"timeout": None},
        query={"timeout": "t"},
        grace=10,
        repeatable=True,
    ),
    "restart": _post(
        "containers/{container}/restart",
        "container",
        optional={"timeout": 10},
        query={"timeout": "t"},
        grace=10,
    ),
    "kill": _post(
        "containers/{container}/kill", "container", optional={"signal": None}, query={"signal": "signal"}
    ),
    "pause": _post("containers/{container}/pause", "container"),
    "unpause": _post("containers/{container}/unpause", "container"),
    "rename": _post("containers/{container}/rename", "container", "name", query={"name": "name"}),
    "inspect_container": _get("containers/{container}/json", "container"),
    "diff": _get("containers/{container}/changes", "container"),
    "top": _get(
        "containers/{container}/top", "container", optional={"ps_args": None}, query={"ps_args": "ps_args"}
    ),
    "remove_container": Request(
        "DELETE",
        "containers/{container}",
        ("container",),
        {"v": False, "link": False, "force": False},
        query={"v": "v", "link": "link", "force": "force"},
    ),
    "exec_inspect": _get("exec/{exec_id}/json", "exec_id"),
    # Images
    "inspect_image": _get("images/{image}/json", "image"),
    "tag": _post(
        "images/{image}/tag",
        "image",
        "repository",
        optional={"tag": None, "force": False},
        query={"repository": "repo", "tag": "tag", "force": "force"},
        answer=_created,
    ),
    "remove_image": Request(
        "DELETE",
        "images/{image}",
        ("image",),
        {"force": False, "noprune": False},
        query={"force": "force", "noprune": "noprune"},
        answer=_document,
        timeout=SLOW_TIMEOUT,
    ),
    # Volumes
    "volumes": _get("volumes", optional={"filters": None}, query={"filters": "filters"}),
    "create_volume": _post(
        "volumes/create",
        optional={"name": None, "driver": None, "driver_opts": None, "labels": None},
        body={"name": "Name", "driver": "Driver", "driver_opts": "DriverOpts", "labels": "Labels"},
        answer=_document,
    ),
    "inspect_volume": _get("volumes/{name}", "name"),
    # Networks
    "create_network": _post(
        "networks/create",
        "name",
        optional={
            **dict.fromkeys(("driver", "options", "ipam", "check_duplicate")),
            "internal": False,
            "labels": None,
            "enable_ipv6": False,
            **dict.fromkeys(("attachable", "scope", "ingress")),
        },
        body={
            "name": "Name",
            "driver": "Driver",
            "options": "Options",
            "ipam": "IPAM",
            "check_duplicate": "CheckDuplicate",
            "internal": "Internal",
            "labels": "Labels",
            "enable_ipv6": "EnableIPv6",
            "attachable": "Attachable",
            "scope": "Scope",
            "ingress": "Ingress",
        },
        answer=_document,
    ),
    "inspect_network": _get(
        "networks/{net_id}",
        "net_id",
        optional={"verbose": None, "scope": None},
        query={"verbose": "verbose", "scope": "scope"},
    ),
    "remove_network": Request("DELETE", "networks/{net_id}", ("net_id",)),
    "disconnect_container_from_network": _post(
        "networks/{net_id}/disconnect",
        "container",
        "net_id",
        optional={"force": False},
        body={"container": "Container", "force": "Force"},
        operation="disconnect network",
    ),
    # A swarm
    "services": _list("services", status=None),
    "inspect_service": _get(
        "services/{service}",
        "service",
        optional={"insert_defaults": None},
        query={"insert_defaults": "insertDefaults"},
    ),
    "remove_service": _remove("services/{service}", "service"),
    "tasks": _list("tasks"),
    "inspect_task": _get("tasks/{task}", "task"),
    "nodes": _list("nodes"),
    "inspect_node": _get("nodes/{node_id}", "node_id"),
    "remove_node": Request(
        "DELETE", "nodes/{node_id}", ("node_id",), {"force": False}, query={"force": "force"}, answer=_done
    ),
    "secrets": _list("secrets"),
    "inspect_secret": _get("secrets/{id}", "id"),
    "remove_secret": _remove("secrets/{id}", "id"),
    "configs": _list("configs"),
    "inspect_config": _get("configs/{id}", "id"),
    "remove_config": _remove("configs/{id}", "id"),
    "inspect_swarm": _get("swarm"),
    # The Engine
    "info": _get("info"),
    "version": _get("version", optional={"api_version": True}),
}
"""Method → its request."""
