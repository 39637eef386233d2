"""One Hub on one Engine, as these tests see it: over REST, on its pages, and from the Engine's side."""

from __future__ import annotations

import asyncio
import html
import re
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import httpx

from tests.fake_engine import FakeEngine
from tests.support.hub_api import HubAPI, Json
from tests.support.workloads import Containers
from tests.testbed.hub import HubProcess
from tests.testbed.own_engine import OwnEngine
from tests.testbed.plain_http import NO_TLS
from tests.testbed.swarm import Swarm

SHELL = ["/bin/busybox", "sh", "-c"]
DIES = [*SHELL, "echo 'cannot open the notebook cupboard' >&2; exit 7"]
SILENT = [*SHELL, "trap 'exit 0' TERM; while :; do /bin/busybox sleep 0.1; done"]
"""A server that runs and never answers."""
AT_ONCE = "c.JupyterHub.tornado_settings = {'slow_spawn_timeout': 0}\n"
"""The Hub answers a request for a server as soon as its start has begun."""
LOG_CHARACTERS = 60_000
"""So much is shown of the log of a Hub whose test has failed."""
LONG_SECONDS = 240
"""What takes seconds on a quiet machine may take so long on a busy one."""
PATIENT = f"c.Spawner.start_timeout = c.Spawner.http_timeout = {LONG_SECONDS}"
"""Real servers need many seconds of CPU time to begin."""
LONG = 6
"""Seconds in which a Hub that was killed is up again."""
GONE_WITHIN = 120.0
"""Seconds in which what has ended is removed, however busy the machine is."""


@dataclass
class HubSite:
    """A running Hub, its REST driver, and what belongs to it at the Engine."""

    process: HubProcess
    api: HubAPI
    engine: httpx.Client
    hub_id: str
    fake: FakeEngine | None = None
    sessions: list[httpx.AsyncClient] = field(default_factory=list)
    workload: type[Containers] = Containers
    """The kind of object that its servers are."""
    swarm: Swarm | None = None
    """Whose manager the Engine is."""

    @property
    def prefix(self) -> str:
        """What the names of this Hub's containers and volumes begin with."""
        return prefix_of(self.hub_id)

    @property
    def objects(self) -> Containers:
        """What answers tests about its servers' objects."""
        return self.workload(self.engine)

    def containers(self) -> list[Json]:
        """Every container, or service, with this Hub's label, running or not."""
        return self.objects.all(self.hub_id)

    def names(self) -> list[str]:
        """The containers' names, without what all of them begin with."""
        found = map(self.objects.name, self.containers())
        return sorted(name.removeprefix(f"{self.prefix}-") for name in found)

    def volumes(self) -> list[str]:
        """The volumes whose names begin with our prefix."""
        found = self.engine.get("/volumes").raise_for_status().json()["Volumes"] or []
        return [str(one["Name"]) for one in found if str(one["Name"]).startswith(self.prefix)]

    def remove_all(self) -> None:
        """Remove what is left at the Engine."""
        for one in self.containers():
            self.objects.remove(one.get("Id") or one["ID"])
        if self.swarm is not None:
            self.swarm.remove_of(self.hub_id, self.prefix)
        for name in self.volumes():
            self.engine.delete(f"/volumes/{name}", params={"force": 1})

    async def create_users(self, *names: str) -> None:
        """Make users."""
        await self.api.create_users(names)

    async def answers(self, user: str, name: str = "") -> bool:
        """Whether the user's own server, and not the Hub, answers at its address at the proxy."""
        answer = await self.api.server_status(user, name)
        # The Hub never says 200 here; the stub has no such page, but it has not the Hub's header either.
        of_a_stub = answer.status_code == 404 and "x-jupyterhub-version" not in answer.headers
        return answer.status_code == 200 or of_a_stub

    async def status(self, user: str, name: str = "") -> Json:
        """The document at `api/status` of a real single-user server."""
        answer = await self.api.server_status(user, name)
        assert answer.status_code == 200, answer.text
        document: Json = answer.json()
        return document

    async def settled(self, user: str, name: str = "") -> Json | None:
        """The server's document once nothing is pending, or None where it is over."""
        await until(lambda: self._pending(user, name), is_=False, seconds=150)
        return await self.api.server(user, name)

    async def _pending(self, user: str, name: str) -> bool:
        server = await self.api.server(user, name)
        return bool(server and (server["pending"] or not server["ready"]))

    async def nothing_left(self, seconds: float = GONE_WITHIN) -> None:
        """Wait until no container of this Hub is left; what is left fails the test by name."""
        await until(self._names, is_=[], seconds=seconds)

    async def _names(self) -> list[str]:
        return self.names()

    async def log_in(self, user: str) -> httpx.AsyncClient:
        """A browser's session, as far as forms and cookies go; closed with the test."""
        session = httpx.AsyncClient(
            base_url=self.process.url, follow_redirects=True, timeout=60, trust_env=False, verify=NO_TLS
        )
        self.sessions.append(session)
        page = await session.get("/hub/login", params={"next": "/hub/home"})
        form = {"username": user, "password": "any", "_xsrf": session.cookies["_xsrf"]}
        answer = await session.post(_form_action(page.text), data=form)
        answer.raise_for_status()
        return session

    async def end(self) -> None:
        """End the Hub and remove what it has made; its log is shown where the test fails."""
        await self.api.aclose()
        for session in self.sessions:
            await session.aclose()
        try:
            self.process.close()
        finally:
            self.remove_all()
            sys.stdout.write(self.process.log_text()[-LOG_CHARACTERS:])


class MakeHub(Protocol):
    """Starts a Hub whose spawner has these options; `config` follows as Python text.

    `environ` is what the Hub has beside the test's own environment.
    """

    def __call__(
        self,
        *,
        config: str = "",
        cleanup_servers: bool = True,
        fake: FakeEngine | None = None,
        own: OwnEngine | None = None,
        swarm: Swarm | None = None,
        hub_id: str | None = None,
        environ: Mapping[str, str] | None = None,
        internal_ssl: bool = False,
        **options: Any,
    ) -> HubSite: ...


async def until(
    ask: Callable[[], Any], *, is_: object, seconds: float = LONG_SECONDS, every: float = 0.1
) -> None:
    """Wait for an answer; fails with the last one after so many seconds."""
    end = time.monotonic() + seconds
    while (last := await ask()) != is_:
        assert time.monotonic() < end, f"still {last!r} after {seconds:g} s"
        await asyncio.sleep(every)


async def under_way(fake: FakeEngine, route: str) -> bool:
    """Whether the Engine has begun such a POST and not ended it."""
    return f"POST {route}" in fake.state()["in_flight"]


async def killed_while_it_asks(
    hub: HubSite, fake: FakeEngine, route: str, options: Mapping[str, Any] | None = None
) -> None:
    """Ask for alice's server, kill the Hub while the Engine does this for it, and start it again."""
    await hub.create_users("alice")
    asked = asyncio.create_task(hub.api.request_start("alice", options=options))
    await until(partial(under_way, fake, route), is_=True, seconds=20, every=0.02)
    hub.process.kill()
    await asyncio.gather(asked, return_exceptions=True)
    hub.process.start()


def prefix_of(hub_id: str) -> str:
    """The prefix that goes with a Hub's id."""
    return f"t{hub_id}"


def new_hub_id() -> str:
    """An id no other test has."""
    return uuid.uuid4().hex[:10]


def inspected(hub: HubSite, name: str) -> Json:
    answer = hub.engine.get(f"/containers/{hub.prefix}-{name}/json")
    return dict(answer.raise_for_status().json())


def environment_of(document: Json) -> dict[str, str]:
    return dict(str(entry).partition("=")[::2] for entry in document["Config"]["Env"])


def mounted(document: Json) -> dict[str, str]:
    """Give volume → where it is mounted."""
    return {str(one["Name"]): str(one["Destination"]) for one in document["Mounts"]}


def text_of(page: str) -> str:
    """What a page says, in one line."""
    body = re.sub(r"(?s)<(script|style)\b.*?</\1>", " ", page)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())


async def form_of(session: httpx.AsyncClient) -> str:
    """Open the page on which a server is configured; gives it."""
    answer = await session.get("/hub/spawn")
    assert answer.status_code == 200, text_of(answer.text)
    return answer.text


async def sent(session: httpx.AsyncClient, page: str, **fields: str) -> httpx.Response:
    """Fill in the page's form and send it off, as a browser does."""
    found = re.search(r'<form[^>]*id="spawn_form"[^>]*action="([^"]+)"', page)
    assert found, text_of(page)
    # None for a file's name: a plain field of a form in many parts.
    parts = {key: (None, value) for key, value in fields.items()}
    return await session.post(html.unescape(found[1]), files=parts)


def _form_action(page: str) -> str:
    found = re.search(r'<form[^>]*action="([^"]+)"', page)
    assert found, text_of(page)
    return html.unescape(found[1])
