"""What docker-py would send to the Engine, caught before it leaves."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any

import docker
import pytest
from docker.api.container import ContainerApiMixin

VERSION = "1.41"

CREATE_WORDS = frozenset(inspect.signature(ContainerApiMixin.create_container).parameters) - {"self"}
HOST_WORDS = frozenset(inspect.signature(docker.types.HostConfig.__init__).parameters) - {"self", "version"}
MOUNT_WORDS = frozenset(inspect.signature(docker.types.Mount.__init__).parameters) - {"self"}

SAME_TO_THE_ENGINE = "null, and what is false, 0 or empty, are to the Engine as if the key were not there"


def cases(table: Mapping[str, Sequence[Any]]) -> Any:
    """Parametrize over word → values."""
    return [
        pytest.param(word, value, id=f"{word}-{number}")
        for word, values in table.items()
        for number, value in enumerate(values)
    ]


class Recorder(docker.APIClient):
    """docker-py's client over no connection: it keeps what it is asked to send."""

    def __init__(self) -> None:
        self.sent: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
        super().__init__(base_url="tcp://192.0.2.1:2375", version=VERSION)

    def _post(self, url: str, **request: Any) -> None:
        assert url.endswith("/containers/create"), url
        self.sent = (request["params"], json.loads(request["data"]))

    def _result(self, response: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        del response, args, kwargs
        return {}

    def create(self, words: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Give parameters and body of the request that these words come to."""
        self.create_container(**{"image": "image", "use_config_proxy": False, **words})
        return self.sent


def created_by(words: Mapping[str, Any]) -> Any:
    """Give the keys of a create's body that are there, or have another value, because of these words."""
    with Recorder() as client:
        _, plain = client.create({})
        _, body = client.create(words)
    return as_json({key: value for key, value in body.items() if plain.get(key) != value})


def hosted_by(words: Mapping[str, Any]) -> Any:
    """Give the HostConfig that these words come to."""
    with Recorder() as client:
        found = client.create_host_config(**words)
    if "network_mode" not in words:
        # It is always there, also unasked.
        found.pop("NetworkMode")
    return as_json(found)


def mounted_by(words: Mapping[str, Any]) -> Any:
    """Give the mount that these words come to."""
    return as_json(docker.types.Mount(**words))


def as_json(value: Any) -> Any:
    """Give what arrives of a document: only JSON's own kinds of values are left."""
    return json.loads(json.dumps(value))


def written(value: Any) -> str:
    """Write a document so that `1`, `1.0`, `"1"` and `true` differ, and the order of keys does not count."""
    return json.dumps(value, sort_keys=True)


def without_zeros(value: Any) -> Any:
    """Take out of a document what `SAME_TO_THE_ENGINE` says."""
    if isinstance(value, dict):
        items = {key: without_zeros(item) for key, item in value.items()}
        return {key: item for key, item in items.items() if item not in (None, False, 0, "", [], {})}
    return [without_zeros(item) for item in value] if isinstance(value, list) else value
