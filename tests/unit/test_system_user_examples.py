"""The manual's examples for users of the system, as a Hub would have them."""

from __future__ import annotations

import logging
import re
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from traitlets.config import Config
from traitlets.utils.importstring import import_item

from asyncdockerspawner import SystemUserSpawner
from asyncdockerspawner.spawners.launch_inputs import launch_inputs
from asyncdockerspawner.workloads.launch import LaunchInputs
from tests.testbed.name_service import NameService

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
SECTION = README.split("### Users of the system")[1].split("\n### ")[0]
SYSTEM, FUNCTIONS = re.findall(r"^```python\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)
NAMES = README.split("<!-- system-users: names -->\n```python\n")[1].split("```")[0]
ENTRY_POINTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][
    "jupyterhub.spawners"
]


@pytest.fixture(autouse=True)
def directory(name_service: NameService, monkeypatch: pytest.MonkeyPatch) -> NameService:
    monkeypatch.setenv("PATH", name_service.environment["PATH"])
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    return name_service


def configured(*examples: str) -> Config:
    config = Config()
    for each in examples:
        exec(each, {"c": config})  # noqa: S102 - the manual's own
    return config


async def launched(config: Config, username: str, auth_state: Any = None) -> LaunchInputs:
    async def get_auth_state() -> Any:
        return auth_state

    user = SimpleNamespace(name=username, settings={}, url="/", get_auth_state=get_auth_state)
    orm_spawner = SimpleNamespace(name="", state=None, user_options=None, server=None)
    log = logging.getLogger(__name__)
    spawner = SystemUserSpawner(config=config, user=user, orm_spawner=orm_spawner, log=log)
    await spawner._before_hook()
    return await launch_inputs(spawner)


def test_the_names_for_spawner_class_are_registered() -> None:
    names = [configured(SYSTEM).JupyterHub.spawner_class, "docker-system-user"]
    assert [import_item(ENTRY_POINTS[name].replace(":", ".")) for name in names] == [SystemUserSpawner] * 2


async def test_the_system_tells_of_its_users(directory: NameService) -> None:
    directory.knows("passwd alice", "alice:x:1001:100::/nfs/alice:/bin/sh")
    directory.knows("initgroups alice", "alice 27")
    inputs = await launched(configured(SYSTEM), "alice")
    assert (inputs.runs_as.user, inputs.runs_as.groups, list(inputs.binds)) == (
        "1001:100",
        (27,),
        ["/nfs/alice"],
    )


async def test_functions_tell_of_users_whom_the_system_does_not_know(directory: NameService) -> None:
    known = {"uidNumber": "1001", "gidNumber": 100, "homeDirectory": "/nfs/alice"}
    inputs = await launched(configured(FUNCTIONS), "alice", known)
    assert (inputs.runs_as.user, list(inputs.binds)) == ("1001:100", ["/nfs/alice"])
    assert directory.asked() == []
    # Both together, and a user of the system for whom there is no `auth_state`.
    directory.knows("passwd bob", "bob:x:1002:100::/nfs/bob:/bin/sh")
    inputs = await launched(configured(SYSTEM, FUNCTIONS), "bob")
    assert (inputs.runs_as.user, list(inputs.binds)) == ("1002:100", ["/nfs/bob"])


@pytest.mark.parametrize(
    ("name", "gid", "line"),
    [
        ("alice", 100, "alice:x:5:100::/home/alice:/bin/bash\n"),
        ("alice", -1, "alice:x:5:0::/home/alice:/bin/bash\n"),
        ("r::0:0:", 100, ""),
    ],
)
def test_a_passwd_of_the_sites_own_has_the_users_line_and_no_other(name: str, gid: int, line: str) -> None:
    passwd = configured(NAMES).SwarmSpawner.configs["/etc/passwd"]
    user = SimpleNamespace(name=name)
    text = passwd(SimpleNamespace(user=user, user_id=5, group_id=gid, homedir=f"/home/{name}"))
    assert text == f"root:x:0:0:root:/root:/bin/bash\n{line}"
