"""The values of one launch, as they leave the spawner: complete, resolved and frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmFile:
    """A secret or config that the swarm holds, and where a server finds it."""

    id: str
    """Its id in the swarm."""
    name: str
    """Its name in the swarm."""
    target: str
    """A name below `/run/secrets` (of a config: below `/`), or an absolute path, inside the container."""
    uid: int = 0
    """The file's owner inside."""
    gid: int = 0
    """The file's group inside."""
    mode: int = 0o444
    """The file's permissions inside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmInputs:
    """What only a service is made from."""

    extra_container: Mapping[str, Any] = field(default_factory=dict)
    """`extra_container_spec`: docker-py's words or the Engine's own keys, as are the next four."""
    extra_task: Mapping[str, Any] = field(default_factory=dict)
    """`extra_task_spec`."""
    extra_resources: Mapping[str, Any] = field(default_factory=dict)
    """`extra_resources_spec`."""
    extra_placement: Mapping[str, Any] = field(default_factory=dict)
    """`extra_placement_spec`."""
    extra_endpoint: Mapping[str, Any] = field(default_factory=dict)
    """`extra_endpoint_spec`."""
    networks: Sequence[str] = ()
    """More networks that it is in, beside `LaunchInputs.network_name`."""
    mem_guarantee: int | None = None
    """Bytes that a node must have left; None or 0 asks for none."""
    cpu_guarantee: float | None = None
    """CPUs that a node must have left; None or 0 asks for none."""
    volume_driver: str = ""
    """Driver of named volumes whose mount names none; "" is the Engine's own."""
    volume_driver_options: Mapping[str, str] = field(default_factory=dict)
    """Its options."""
    stop_grace: float | None = None
    """Seconds from SIGTERM to SIGKILL; None is the Engine's 10 s."""
    platforms: Sequence[Mapping[str, str]] = ()
    """What the image is made for, as the Engine's `Platform`; none where that is not known."""
    node: str = ""
    """Id of the only node that it may run on; "" leaves that to the swarm."""
    secrets: Sequence[SwarmFile] = ()
    """Secrets that were made for it."""
    configs: Sequence[SwarmFile] = ()
    """Configs that were made for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsAs:
    """As whom a server runs, and where, as far as that is not left to its image."""

    user: str = ""
    """A uid, or `uid:gid`; "" is the image's."""
    groups: Sequence[int] = ()
    """Ids of more groups."""
    working_dir: str = ""
    """A path inside the container; "" is the image's."""
    home: str = ""
    """A path among the binds that has to exist: the Engine would make it, as root's, where it does not."""

    def with_groups(self, more: Sequence[str]) -> list[str]:
        """Return the groups and more of them, as the Engine takes them."""
        return list(dict.fromkeys([*map(str, self.groups), *more]))


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchInputs:
    """All that decides what the Engine is asked to create for one server.

    Templates are rendered and callables called before a value gets here.
    """

    name: str
    """Object name: the container's name at the Engine."""
    image: str
    """Image reference or id."""
    command: Sequence[str] | None
    """Words of the command; None leaves the image's own."""
    environment: Mapping[str, str | int | None] = field(repr=False)
    """Environment, with its tokens; None declares the variable without a value, as docker-py does."""
    labels: Mapping[str, str]
    """Ownership labels (`labels`); they win over labels of the configuration."""
    port: int
    """TCP port that the server listens on inside the container."""
    publish_on: str | None
    """Host address the port is published on, on a port of the Engine's choice; None publishes nothing."""
    network_name: str
    """Network that the container is created in, unless `extra_host_config` names another."""
    binds: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Volume name or host path → {"bind", "mode" or "ro", "propagation"}, as `volume_binds` gives it."""
    mounts: Sequence[Mapping[str, Any]] = ()
    """Mounts with the Engine's keys, or docker-py's words, as `mount_binds` gives them."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Container name → alias inside."""
    mount_points: Sequence[str] = ()
    """Paths inside the container to declare as volumes."""
    mem_limit: int | None = None
    """Bytes; None or 0 is no limit."""
    cpu_limit: float | None = None
    """CPUs; None or 0 is no limit."""
    extra_create: Mapping[str, Any] = field(default_factory=dict)
    """`extra_create_kwargs`: docker-py's words or the Engine's own keys, merged over the above."""
    extra_host: Mapping[str, Any] = field(default_factory=dict)
    """`extra_host_config`: docker-py's words or the Engine's own keys, merged over the above."""
    private_folder: str = ""
    """A folder inside that files are put into before each start, also where all others are read-only."""
    healthcheck: Mapping[str, Any] | None = None
    """docker-py's words or the Engine's own keys; None leaves the image's own."""
    runs_as: RunsAs = field(default_factory=RunsAs)
    """As whom the server runs."""
    swarm: SwarmInputs = field(default_factory=SwarmInputs)
    """What only a service is made from."""
