"""The test's side of the fake's swarm."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from tests.fake_engine.shapes import Json


class Control(Protocol):
    """Asks the fake's own routes."""

    def __call__(self, method: str, path: str, body: object = None, /) -> Any: ...


class FakeSwarm:
    """What happens to the swarm by itself. Its nodes are called `manager` and `worker`."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def become(self, mode: str) -> None:
        """Be a `manager`, a `worker`, `locked`, `leaderless`, or `inactive` as at first.

        The swarm is kept.
        """
        self._control("POST", "swarm", {"mode": mode})

    def state(self) -> Json:
        """Everything it holds: nodes, services, tasks, secrets, configs, each node's volumes, credentials."""
        return dict(self._control("GET", "swarm"))

    def tasks(self, service: str = "") -> list[Json]:
        """Its tasks, or those of the service of this name, the oldest first."""
        state = self.state()
        ids = {each["ID"] for each in state["services"] if service in {"", each["Spec"]["Name"]}}
        return [each for each in state["tasks"] if not service or each["ServiceID"] in ids]

    def change_node(self, name: str, **words: Any) -> None:
        """Change what a node is like: `state` ("ready", "down"), `availability` ("active", "pause", "drain").

        Also `labels`, `engine_labels`, `nano_cpus`, `memory` in bytes, `generic` (as in the Engine's
        `GenericResources`) and `volume_drivers`. What runs on a node that is down is dead.
        """
        self._control("POST", f"swarm/nodes/{name}", words)

    @contextmanager
    def holding(self, state: str) -> Iterator[None]:
        """Within it, tasks that come to a state stay there; `stopping` holds those that are to end."""
        self._control("POST", "swarm/held", {"state": state})
        try:
            yield
        finally:
            self._control("POST", "swarm/held", {"state": ""})

    def die(self, service: str, exit_code: int = 1, *, oom: bool = False) -> None:
        """End the processes of a service's tasks by themselves."""
        self._control("POST", f"swarm/tasks/{service}/die", {"exit_code": exit_code, "oom": oom})

    def forget_tasks(self, service: str) -> None:
        """Keep no task of a service, as `--task-history-limit 0` says of those that have ended."""
        self._control("POST", f"swarm/tasks/{service}/forget", {})

    def populate(
        self,
        count: int,
        *,
        name: Callable[[int], str] = "crowd-{}".format,
        labels_of: Callable[[int], Mapping[str, str]] | None = None,
        env_of: Callable[[int], Sequence[str]] | None = None,
        port_of: Callable[[int], int] | None = None,
        network: str = "",
        image: str = "stub:1",
    ) -> list[str]:
        """Make many services at once, each with a task that runs, without anybody there; gives their ids.

        A function gets the number, from 0 on; they are on the nodes in turn. Host ports are only told.
        """
        crowd = [
            {
                "name": name(number),
                "labels": dict(labels_of(number)) if labels_of else {},
                "env": list(env_of(number)) if env_of else [],
                "port": port_of(number) if port_of else None,
                "network": network,
            }
            for number in range(count)
        ]
        return [
            str(each) for each in self._control("POST", "swarm/services", {"image": image, "services": crowd})
        ]
