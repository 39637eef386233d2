"""The values of one launch, as they leave the spawner: complete, resolved and frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


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
    environment: Mapping[str, str | int | None]
    """Environment; None declares the variable without a value, as docker-py does."""
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
