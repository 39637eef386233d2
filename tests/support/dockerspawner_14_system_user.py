"""Options and states of a system user's server that DockerSpawner 14 and this package are asked to start.

The user is one whom every system knows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

USER = "daemon"
CASES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "the home of the system": {"options": {"host_homedir_format_string": ""}},
    "other homes": {
        "options": {
            "host_homedir_format_string": "/nfs/{username[0]}/{username}",
            "image_homedir_format_string": "/h/{username}",
            "homedir_bind_propagation": "rslave",
        }
    },
    "a volume": {"options": {"host_homedir_format_string": "home-{username}"}},
    "as root": {"options": {"run_as_root": True}},
    "ids of a hook": {"traits": {"user_id": 1001, "group_id": 100}},
    "a uid of a hook": {"traits": {"user_id": 1001}},
    "a uid of a hook, as root": {"traits": {"user_id": 1001}, "options": {"run_as_root": True}},
    "the site's own user": {
        "options": {"extra_create_kwargs": {"user": "5:6", "working_dir": "/w", "hostname": "h"}}
    },
    "volumes": {"options": {"volumes": {"v-{username}": "/v", "/home/{username}": "/elsewhere"}}},
    "words of start": {
        "start": {
            "image": "image:2",
            "extra_create_kwargs": {"hostname": "h"},
            "extra_host_config": {"shm_size": "1g"},
        }
    },
    "words of start that are empty": {
        "start": {"image": "", "extra_create_kwargs": {}, "extra_host_config": None}
    },
}
"""What is configured, what a hook sets, and what `start` is called with."""

DEPRECATED = "is deprecated"


def answer(
    spawner: Any, environment: dict[str, Any], words: dict[str, Any], log: list[str]
) -> dict[str, Any]:
    """Put together what a start came to; `words` are docker-py's for the container."""
    return {
        "user": words.get("user"),
        "working_dir": words.get("working_dir"),
        "hostname": words.get("hostname"),
        "environment": {key: environment[key] for key in sorted(environment)},
        "binds": spawner.volume_binds,
        "mount_points": spawner.volume_mount_points,
        "homes": [spawner.host_homedir, spawner.homedir],
        "state": spawner.get_state(),
        "image": spawner.image,
        "host": spawner.extra_host_config,
        "log": [line for line in log if DEPRECATED in line],
    }


def starts(make: Callable[..., Any]) -> dict[str, Any]:
    """Return what DockerSpawner 14 makes of `CASES`."""
    from dockerspawner import DockerSpawner, SystemUserSpawner  # noqa: PLC0415 - only in its environment

    class Started(DockerSpawner):
        """Gives what its start would be made from."""

        def get_env(self) -> dict[str, Any]:
            return {}

        def start(self) -> dict[str, Any]:
            return dict(self.extra_create_kwargs)

    def started(case: dict[str, Any]) -> dict[str, Any]:
        # Its methods call those.
        cls = type("SystemUserSpawner", (SystemUserSpawner, Started), {})
        spawner, log = make(cls, {"image": "image:1", **case.get("options", {})}, username=USER)
        for name, value in case.get("traits", {}).items():
            setattr(spawner, name, value)
        words = spawner.start(**case.get("start", {}))
        return answer(spawner, spawner.get_env(), words, log)

    return {label: started(case) for label, case in CASES.items()}
