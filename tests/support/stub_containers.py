"""Containers of the stub image at any Engine, without a spawner."""

from __future__ import annotations

import uuid
from typing import Any

import httpx

from tests.testbed.images import STUB
from tests.testbed.plain_http import NO_TLS

PUBLISHED: dict[str, Any] = {"PortBindings": {"8888/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}}


def run_stub(http: httpx.Client, image: str = STUB, **host: Any) -> str:
    body = {"Image": image, "HostConfig": {**PUBLISHED, **host}, "StopTimeout": 1}
    made = http.post("/containers/create", json=body, params={"name": f"stub-{uuid.uuid4().hex[:8]}"})
    ref = str(made.raise_for_status().json()["Id"])
    http.post(f"/containers/{ref}/start").raise_for_status()
    return ref


def inspected(http: httpx.Client, ref: str) -> dict[str, Any]:
    return dict(http.get(f"/containers/{ref}/json").raise_for_status().json())


def port_of(http: httpx.Client, ref: str) -> int:
    return int(inspected(http, ref)["NetworkSettings"]["Ports"]["8888/tcp"][0]["HostPort"])


def serves(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/", timeout=2, verify=NO_TLS).status_code == 200
    except httpx.TransportError:
        return False
