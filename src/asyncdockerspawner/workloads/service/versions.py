"""What older Engines drop of a service without a word. Pure.

Source: Docker Engine API, "Version history"; for 1.41, a real manager has been asked what it keeps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from asyncdockerspawner.client.api_version import Version, text
from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.jsontypes import JsonObject

_SINCE: Mapping[str, tuple[Version, str]] = {
    "ContainerSpec.CapabilityAdd": ((1, 41), "cap_add"),
    "ContainerSpec.CapabilityDrop": ((1, 41), "cap_drop"),
    "ContainerSpec.Ulimits": ((1, 41), "ulimits"),
    "Resources.Limits.Pids": ((1, 41), "pids_limit"),
    "ContainerSpec.Mounts.BindOptions.CreateMountpoint": ((1, 42), "CreateMountpoint in mounts"),
    "ContainerSpec.Healthcheck.StartInterval": ((1, 44), "start_interval in healthcheck"),
    "ContainerSpec.Privileges.AppArmor": ((1, 44), "apparmor in security_opt"),
    "ContainerSpec.Privileges.NoNewPrivileges": ((1, 44), "no-new-privileges in security_opt"),
    "ContainerSpec.Privileges.Seccomp": ((1, 44), "seccomp in security_opt"),
    "ContainerSpec.Mounts.VolumeOptions.Subpath": ((1, 45), "subpath in mounts"),
    "ContainerSpec.OomScoreAdj": ((1, 46), "oom_score_adj"),
    "Resources.MemorySwappiness": ((1, 52), "MemorySwappiness in extra_resources_spec"),
    "Resources.SwapBytes": ((1, 52), "SwapBytes in extra_resources_spec"),
}
"""Where in a task → the first version of the API that has it, and what a site has said to have it there."""


def check(service: JsonObject, spoken: Version) -> None:
    """Raise BadOption for what a manager that speaks this version would drop."""
    task = service.get("TaskTemplate") or {}
    for path, (since, option) in _SINCE.items():
        if spoken < since and any(_at(task, path.split("."))):
            raise BadOption(
                f"{option}: the swarm's manager would drop it, as its API is {text(spoken)}; an Engine of "
                f"API {text(since)} or newer knows it."
            )


def _at(found: Any, path: list[str]) -> Iterator[Any]:
    """Yield what is at a path, in each entry of a list."""
    if isinstance(found, list):
        for each in found:
            yield from _at(each, path)
    elif not path:
        yield found
    elif isinstance(found, Mapping) and path[0] in found:
        yield from _at(found[path[0]], path[1:])
