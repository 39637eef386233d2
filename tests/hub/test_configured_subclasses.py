"""Spawners that a configuration file makes of ours, each run through a real Hub."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.hub_api import ServerFailed
from tests.support.hub_site import (
    AT_ONCE,
    SILENT,
    HubSite,
    MakeHub,
    environment_of,
    inspected,
    mounted,
    until,
)

IN_FRONT = {
    "coroutine": """
    async def start(self):
        self.prepare_for_user()
        return await super().start()
""",
    "gen.coroutine": """
    @gen.coroutine
    def start(self):
        self.prepare_for_user()
        address = yield super().start()
        return address
""",
    "function": """
    def start(self):
        self.prepare_for_user()
        return super().start()
""",
}
AFTERWARDS = {
    "coroutine": """
    async def start(self):
        await super().start()
        raise RuntimeError("no luck")
""",
    "gen.coroutine": """
    @gen.coroutine
    def start(self):
        yield super().start()
        raise RuntimeError("no luck")
""",
}
SPAWNER = """
from tornado import gen
from traitlets import Unicode
from asyncdockerspawner import DockerSpawner


class SiteSpawner(DockerSpawner):
    greeting = Unicode("none", help="What the server is greeted with.").tag(config=True)
    other_image = Unicode().tag(config=True)

    def prepare_for_user(self):
        name = self.user.name
        if name == "unlucky":
            raise RuntimeError("no luck")
        self.mem_limit = "128M"
        self.environment["GREETING"] = f"{{self.greeting}}, {{name}}"
        self.volumes[f"{{self.prefix}}-of-{{name}}"] = "/home/jovyan/work"
        self.extra_create_kwargs.update(labels={{"site.user": name}})
        self.extra_host_config = {{"cap_drop": ["ALL"]}}
        if self.other_image:
            self.image = self.other_image
{start}

c.JupyterHub.spawner_class = SiteSpawner
c.SiteSpawner.greeting = "hello"
"""
FILLED_IN_GET_ENV = {
    "in place": 'self.extra_create_kwargs["user"] = self.user_of()\n        '
    'self.extra_create_kwargs.update(working_dir="/home/jovyan")',
    "anew": 'self.extra_create_kwargs = {"user": self.user_of(), "working_dir": "/home/jovyan"}',
}
GET_ENV = """
from asyncdockerspawner import DockerSpawner


class SystemLikeSpawner(DockerSpawner):
    def user_of(self):
        return {{"alice": "1001:100", "bob": "1002:100"}}[self.user.name]

    def get_env(self):
        env = super().get_env()
        env["NB_USER"] = self.user.name
        {fill}
        if self.user.name == "bob":
            self.extra_host_config["group_add"] = ["2000"]
        return env


c.JupyterHub.spawner_class = SystemLikeSpawner
c.DockerSpawner.extra_create_kwargs = {{"hostname": "of-{{username}}"}}
"""
WITH_A_LADDER = """
import os
from asyncdockerspawner import DockerSpawner


class SteppedSpawner(DockerSpawner):
    async def create_object(self):
        self.log.warning("step: create")
        return await super().create_object()

    async def start_object(self):
        self.log.warning("step: start")
        await super().start_object()

    async def stop_object(self):
        self.log.warning("step: stop")
        await super().stop_object()

    async def remove_object(self):
        self.log.warning("step: remove")
        await super().remove_object()

    async def get_ip_and_port(self):
        ip, port = await super().get_ip_and_port()
        self.log.warning("step: address")
        return ip, port

    def get_command(self):
        return ["/bin/busybox", "sh", "-c", "exec /serve"]

    def template_namespace(self):
        namespace = super().template_namespace()
        namespace["course"] = "physics"
        return namespace


c.JupyterHub.spawner_class = SteppedSpawner
c.DockerSpawner.name_template = "{prefix}-{course}-{username}"
"""


@pytest.mark.parametrize("kind", IN_FRONT)
async def test_what_a_start_sets_before_ours_holds_for_its_own_server_alone(
    other_image: str, make_hub: MakeHub, kind: str
) -> None:
    image = f"c.SiteSpawner.other_image = {other_image!r}\n"
    hub = make_hub(config=SPAWNER.format(start=IN_FRONT[kind]) + image)
    await hub.create_users("alice", "bob")
    for user in ("alice", "bob"):
        await hub.api.start_server(user)
        assert await hub.answers(user)
        found = inspected(hub, user)
        assert found["Config"]["Image"] == other_image
        assert found["HostConfig"]["Memory"] == 128 * 2**20
        assert found["HostConfig"]["CapDrop"] == ["ALL"]
        assert found["Config"]["Labels"]["site.user"] == user
        assert environment_of(found)["GREETING"] == f"hello, {user}"
        assert mounted(found) == {f"{hub.prefix}-of-{user}": "/home/jovyan/work"}
    await asyncio.gather(hub.api.stop_server("alice"), hub.api.stop_server("bob"))
    await hub.nothing_left()


@pytest.mark.parametrize("kind", IN_FRONT)
async def test_a_start_that_fails_before_ours_keeps_no_place_and_leaves_nothing(
    make_hub: MakeHub, kind: str
) -> None:
    # The only place, which a spawn takes before `start` is called.
    hub = make_hub(config=SPAWNER.format(start=IN_FRONT[kind]), concurrent_starts=1, queue_timeout=20.0)
    await hub.create_users("unlucky", "alice")
    for _ in range(2):
        with pytest.raises(ServerFailed):
            await hub.api.start_server("unlucky")
    await hub.api.start_server("alice")
    assert await hub.answers("alice")
    assert hub.names() == ["alice"]
    assert "no luck" in hub.process.log_text()


@pytest.mark.parametrize("kind", AFTERWARDS)
async def test_a_start_that_fails_after_ours_leaves_nothing(make_hub: MakeHub, kind: str) -> None:
    hub = make_hub(config=SPAWNER.format(start=AFTERWARDS[kind]))
    await hub.create_users("alice")
    for _ in range(2):
        with pytest.raises(ServerFailed):
            await hub.api.start_server("alice")
        await hub.nothing_left()
    log = hub.process.log_text()
    assert log.count("RuntimeError: no luck") >= 2
    assert "is already in use" not in log


@pytest.mark.parametrize("kind", IN_FRONT)
async def test_a_start_of_a_subclass_is_cancelled_and_leaves_nothing(make_hub: MakeHub, kind: str) -> None:
    hub = make_hub(config=AT_ONCE + SPAWNER.format(start=IN_FRONT[kind]), cmd=SILENT)
    await hub.create_users("alice")
    for _ in range(2):
        assert (await hub.api.request_start("alice")).status_code == 202

        async def running() -> list[str]:
            return [str(one["State"]) for one in hub.containers()]

        await until(running, is_=["running"], seconds=20)
        answer = await hub.api._send("DELETE", "users/alice/server")
        assert answer.status_code == 204, answer.text
        await hub.nothing_left()


@pytest.mark.parametrize("how", FILLED_IN_GET_ENV)
async def test_what_get_env_fills_into_the_extras_counts_for_its_own_server_alone(
    make_hub: MakeHub, how: str
) -> None:
    hub = make_hub(config=GET_ENV.format(fill=FILLED_IN_GET_ENV[how]))
    await hub.create_users("alice", "bob")
    # bob is first: what was set for him must not reach alice.
    for user, number in (("bob", 1002), ("alice", 1001)):
        await hub.api.start_server(user)
        assert await hub.answers(user)
        found = inspected(hub, user)
        assert found["Config"]["User"] == f"{number}:100"
        assert found["Config"]["WorkingDir"] == "/home/jovyan"
        assert environment_of(found)["NB_USER"] == user
        assert found["HostConfig"]["GroupAdd"] == (["2000"] if user == "bob" else None)
        assert (found["Config"]["Hostname"] == f"of-{user}") == (how == "in place")


async def test_overridden_steps_and_templates_are_used(make_hub: MakeHub) -> None:
    hub = make_hub(config=WITH_A_LADDER)
    await hub.create_users("alice")
    await hub.api.start_server("alice")
    assert await hub.answers("alice")
    assert hub.names() == ["physics-alice"]
    assert inspected(hub, "physics-alice")["Config"]["Cmd"][-1] == "exec /serve"
    await hub.api.stop_server("alice")
    await hub.nothing_left()
    assert steps(hub) == ["create", "start", "address", "stop", "remove"]


def steps(hub: HubSite) -> list[str]:
    lines = hub.process.log_text().splitlines()
    return [line.rpartition("step: ")[2] for line in lines if "step: " in line]
