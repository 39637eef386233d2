"""What the container of a usual server is made from."""

from __future__ import annotations

from typing import Any

from asyncdockerspawner.workloads.launch import LaunchInputs


def inputs(**changes: Any) -> LaunchInputs:
    """The inputs of a usual launch, with these changes."""
    values: dict[str, Any] = {
        "name": "jupyter-alice",
        "image": "img:1",
        "command": None,
        "environment": {"A": "1"},
        "labels": {"asyncdockerspawner.user": "alice"},
        "port": 8888,
        "publish_on": "127.0.0.1",
        "network_name": "bridge",
    }
    return LaunchInputs(**{**values, **changes})
