"""The values of one launch of a service, for tests of what is made of them."""

from __future__ import annotations

from typing import Any

from asyncdockerspawner.workloads.launch import LaunchInputs, SwarmInputs

LABELS = {"asyncdockerspawner.user": "alice"}


def service_launch(swarm: SwarmInputs | None = None, **changes: Any) -> LaunchInputs:
    """Return the usual values, with these changes."""
    values: dict[str, Any] = {
        "name": "jupyter-alice",
        "image": "img:1",
        "command": None,
        "environment": {"A": "1"},
        "labels": LABELS,
        "port": 8888,
        "publish_on": None,
        "network_name": "hub",
        "swarm": swarm or SwarmInputs(),
    }
    return LaunchInputs(**{**values, **changes})
