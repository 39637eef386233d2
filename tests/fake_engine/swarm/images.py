"""Images of a swarm's nodes: what a pull by a node finds, and what a registry tells of them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json

from tests.fake_engine.answers import Refused
from tests.fake_engine.images import make
from tests.fake_engine.shapes import Json
from tests.fake_engine.state import EngineState, Image, with_tag
from tests.fake_engine.swarm.state import Node
from tests.fake_engine.validation import check_reference


def _without_digest(ref: str) -> str:
    return with_tag(ref.partition("@")[0])


def digest_of(ref: str) -> str:
    """The digest that a registry gives an image."""
    return f"sha256:{hashlib.sha256(_without_digest(ref).encode()).hexdigest()}"


async def on_node(node: Node, ref: str, auth: str) -> Image | None:
    """The image, pulled where the node does not have it; None where that fails."""
    name = _without_digest(ref)
    found = node.engine.image(name)
    if found is not None:
        return found
    plan = node.engine.pullable.get(name)
    if plan is None or plan.get("error") or not _let_in(plan, auth):
        return None
    await asyncio.sleep(plan.get("pause") or 0)
    return make(node.engine, name, labels=plan.get("labels"), **(plan.get("config") or {}))


def _let_in(plan: Json, auth: str) -> bool:
    wanted = plan.get("auth")
    return not wanted or all(_read(auth).get(key) == value for key, value in wanted.items())


def _read(auth: str) -> Json:
    try:
        return dict(json.loads(base64.urlsafe_b64decode(auth)))
    except ValueError:
        return {}


def described(engine: EngineState, ref: str, auth: str) -> Json:
    """`GET /distribution/REF/json`. Raises Refused in the registry's words."""
    check_reference(ref)
    name = _without_digest(ref)
    plan, host = engine.pullable.get(name), name.partition("/")[0]
    if plan is None and engine.image(name) is None:
        _refuse(host)
    if plan is not None and not _let_in(plan, auth):
        if not auth:
            repository, _, tag = name.partition("/")[2].rpartition(":")
            where = f"http://{host}/v2/{repository}/manifests/{tag}"
            raise Refused(500, f'Head "{where}": no basic auth credentials')
        raise Refused(401, "unauthorized: authentication required")
    platforms = (plan or {}).get("platforms") or [{"architecture": "amd64", "os": "linux"}]
    return {
        "Descriptor": {
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "digest": digest_of(ref),
            "size": 528,
        },
        "Platforms": platforms,
    }


def _refuse(host: str) -> None:
    if host.endswith(":9"):
        raise Refused(500, f'Get "http://{host}/v2/": dial tcp {host}: connect: connection refused')
    if "." in host or ":" in host:
        raise Refused(404, "manifest unknown: manifest unknown")
    raise Refused(403, "errors:\ndenied: requested access to the resource is denied\n"
                       "unauthorized: authentication required\n")  # fmt: skip
