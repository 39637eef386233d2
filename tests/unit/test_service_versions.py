"""What an older manager would drop without a word is refused."""

from __future__ import annotations

from typing import Any

import pytest

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.workloads.launch import SwarmInputs
from asyncdockerspawner.workloads.service.body import build_service
from asyncdockerspawner.workloads.service.versions import _SINCE, check
from tests.support.service_launch import service_launch as launch

BIND = {"type": "bind", "target": "/w", "source": "/h"}
CASES: list[tuple[dict[str, Any], tuple[int, int], str]] = [
    ({"extra_host": {"cap_add": ["NET_ADMIN"]}}, (1, 41), "cap_add"),
    ({"extra_host": {"cap_drop": ["ALL"]}}, (1, 41), "cap_drop"),
    ({"extra_host": {"ulimits": [{"name": "nofile", "soft": 1}]}}, (1, 41), "ulimits"),
    ({"extra_host": {"pids_limit": 5}}, (1, 41), "pids_limit"),
    (
        {
            "mounts": [
                {"type": "bind", "target": "/w", "source": "/h", "BindOptions": {"CreateMountpoint": True}}
            ]
        },
        (1, 42),
        "CreateMountpoint in mounts",
    ),
    ({"healthcheck": {"start_interval": 5}}, (1, 44), "start_interval in healthcheck"),
    ({"extra_host": {"security_opt": ["apparmor=unconfined"]}}, (1, 44), "apparmor in security_opt"),
    ({"extra_host": {"security_opt": ["no-new-privileges"]}}, (1, 44), "no-new-privileges in security_opt"),
    ({"extra_host": {"security_opt": ["seccomp=unconfined"]}}, (1, 44), "seccomp in security_opt"),
    (
        {"mounts": [{"target": "/v", "source": "v"}, {"target": "/w", "source": "v", "subpath": "a"}]},
        (1, 45),
        "subpath",
    ),
    ({"extra_host": {"oom_score_adj": 5}}, (1, 46), "oom_score_adj"),
    ({"swarm": SwarmInputs(extra_resources={"MemorySwappiness": 5})}, (1, 52), "MemorySwappiness"),
    ({"swarm": SwarmInputs(extra_resources={"SwapBytes": 5})}, (1, 52), "SwapBytes"),
]


@pytest.mark.parametrize(("changes", "since", "said"), CASES)
def test_it_is_refused_where_it_would_be_dropped(
    changes: dict[str, Any], since: tuple[int, int], said: str
) -> None:
    body = build_service(launch(**changes))
    check(body, since)
    with pytest.raises(BadOption) as caught:
        check(body, (1, since[1] - 1))
    assert str(caught.value).startswith(said)
    assert f"API 1.{since[1]} or newer" in str(caught.value)


def test_every_one_is_tried() -> None:
    assert len(CASES) == len(_SINCE)


def test_what_all_engines_know_is_taken_by_all() -> None:
    check(build_service(launch(binds={"v": {"bind": "/w"}}, mem_limit=2**30)), (1, 40))
    check({}, (1, 40))
