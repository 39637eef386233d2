"""One Engine, fake or real: what a test runs on it, and what it finds there."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.fake_engine import FakeEngine
from tests.support.workloads import Containers
from tests.testbed.engine import ensure_engine
from tests.testbed.images import ensure_stub_image, ensure_stubborn_image
from tests.testbed.plain_http import NO_TLS, client_of

SHELL = ["/bin/busybox", "sh", "-c"]
ON_A_REAL_ENGINE: dict[str, dict[str, Any]] = {
    "stub": {},
    "silent": {"cmd": [*SHELL, "trap 'exit 0' TERM; while :; do /bin/busybox sleep 0.1; done"]},
    "dies": {"cmd": [*SHELL, "echo boom >&2; /bin/busybox sleep 0.05; exit 3"]},
    "dies-at-once": {"cmd": [*SHELL, "echo boom >&2; exit 1"]},
    "oom": {"cmd": ["/bin/busybox", "tail", "/dev/zero"], "mem_limit": 16 * 2**20},
    "slowstop": {},
}


@dataclass
class Site:
    """One Engine: how to reach it, and what to run on it for which kind of server."""

    url: str
    http: httpx.Client
    fake: FakeEngine | None = None
    hub_id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    workload: type[Containers] = Containers
    """The kind of object that a server is."""

    @property
    def objects(self) -> Containers:
        """What answers tests about their servers' objects."""
        return self.workload(self.http)

    def kind(self, name: str) -> dict[str, Any]:
        """Give the options that make a server behave as `name` says."""
        if self.fake is not None:
            # What is to die must not answer first.
            silence = {"environment": {"FAKE_HTTP": "0"}} if name in {"dies", "oom"} else {}
            return {"image": f"{name}:1", **silence}
        image = ensure_stubborn_image() if name == "slowstop" else ensure_stub_image()
        return {"image": image, **ON_A_REAL_ENGINE[name]}

    def containers(self) -> list[dict[str, Any]]:
        """Every container of this test's Hub, running or not."""
        return self.objects.all(self.hub_id)

    def left(self) -> list[dict[str, Any]]:
        """What of this test's Hub there is that a stop should have taken away."""
        return self.objects.left(self.hub_id)

    def kill(self, ref: str) -> None:
        """End a server's process by a signal."""
        self.objects.kill(ref, self.fake)

    def names(self) -> list[str]:
        return sorted(map(self.objects.name, self.containers()))

    def inspect(self, ref: str) -> dict[str, Any]:
        return self.objects.inspect(ref)

    def volumes(self) -> dict[str, dict[str, str]]:
        """The volumes of this test, with their labels."""
        found = self.http.get("/volumes").raise_for_status().json()["Volumes"] or []
        ours = f"t{self.hub_id}"
        return {one["Name"]: one["Labels"] or {} for one in found if one["Name"].startswith(ours)}

    def remove(self, ref: str) -> None:
        self.objects.remove(ref)


def site_over(fake: FakeEngine, **more: Any) -> Site:
    """Give the fake Engine as a site."""
    made = Site(fake.url, fake.http, fake, **more)
    made.workload.prepare(fake)
    return made


def real_client() -> tuple[str, httpx.Client]:
    url = ensure_engine().url
    if url.startswith("unix://"):
        return url, client_of(url.removeprefix("unix://"))
    return url, httpx.Client(base_url=url.replace("tcp://", "http://"), timeout=60, verify=NO_TLS)
