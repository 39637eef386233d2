"""All routes of a swarm's manager."""

from __future__ import annotations

from typing import Any

from tests.fake_engine.swarm.distribution import Distribution
from tests.fake_engine.swarm.files import Files
from tests.fake_engine.swarm.nodes import Nodes
from tests.fake_engine.swarm.services import Services
from tests.fake_engine.swarm.state import Swarm
from tests.fake_engine.swarm.tasks import Tasks


def rooms(swarm: Swarm) -> tuple[Any, ...]:
    """What answers about the swarm, and about registries."""
    return (
        Services(swarm),
        Tasks(swarm),
        Nodes(swarm),
        Files(swarm, "secret"),
        Files(swarm, "config"),
        Distribution(swarm.engine),
    )
