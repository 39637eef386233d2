"""Options: where a server is reached."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

from traitlets import Bool, Dict, HasTraits, Integer, List, Unicode, default

from asyncdockerspawner.spawners.options.per_spawn import PerSpawn
from asyncdockerspawner.workloads.ports import USUAL_PORT, SharedPort


class _Unset(int):
    """The port while nobody has set one."""


_UNSET = _Unset(USUAL_PORT)


class ServerPort(Integer[int, Any]):
    """A port that, read, is this spawn's: in a network that servers share, each has one of its own."""

    def get(self, obj: Any, cls: type | None = None) -> Any:
        """Return the port that the server listens on; 0 is the usual one."""
        if obj._cross_validation_lock:
            # While traitlets checks what a configuration has set, it writes back what it has read.
            return super().get(obj, cls)
        shared: SharedPort | None = obj._shared_port
        return shared.port if shared is not None else self.configured(obj) or USUAL_PORT

    def configured(self, obj: Any) -> int:
        """Return what was set, or the default."""
        port: Any = super().get(obj)
        return port  # type: ignore[no-any-return]


def usual_port(spawner: Any) -> int:
    """Return the port that servers listen on where they have their network to themselves."""
    trait = _server_port(spawner)
    return (trait.configured(spawner) if trait is not None else int(spawner.port)) or USUAL_PORT


def port_is_any(spawner: Any) -> bool:
    """Tell whether `port` was set to 0, the Hub's word for any."""
    trait = _server_port(spawner)
    return trait is not None and trait.configured(spawner) == 0


def port_is_set(spawner: Any) -> bool:
    """Tell whether site, hook or subclass have said a port; 0 says none."""
    trait = _server_port(spawner)
    port = USUAL_PORT if trait is None else trait.configured(spawner)
    return port != 0 and not isinstance(port, _Unset)


def _server_port(spawner: HasTraits) -> ServerPort | None:
    trait = getattr(type(spawner), "port", None)
    # A subclass may have made it something of its own.
    return trait if isinstance(trait, ServerPort) else None


class NetworkTraits(HasTraits):
    """Ports and networks."""

    @default("ip")
    def _ip_default(self) -> str:
        return "0.0.0.0"  # noqa: S104 - inside the container; what is published is another matter

    @default("port")
    def _port_default(self) -> int:
        return _UNSET

    @property
    def _shared_port(self) -> SharedPort | None:
        """Where this spawn's server listens, if it has no network of its own."""
        return None

    port = ServerPort(
        _UNSET,
        min=0,
        max=65535,
        help="""The port that a server listens on inside its container; 0 is 8888.

        Servers on the network of the Engine's machine (`network_name` or `network_mode` is `host`), or in
        another container's, share its ports. There each gets a free one, unless you set this: then the second
        server on it is refused.
        """,
    ).tag(config=True)

    host_ip = Unicode(
        help="""Address of the Engine's machine on which a server's port is published.

        Default: 127.0.0.1, or the host in DOCKER_HOST where that is a `tcp://` address. The port is of the
        Engine's choice. Without effect with `use_internal_ip`.
        """
    ).tag(config=True)

    @default("host_ip")
    def _default_host_ip(self) -> str:
        address = urlsplit(os.environ.get("DOCKER_HOST", ""))
        return (address.hostname if address.scheme == "tcp" else None) or "127.0.0.1"

    network_name = PerSpawn(
        Unicode(),
        "bridge",
        help="""The Engine's network that containers are created in. May be a function of the spawner.

        On any network but `bridge` and `host`, the Hub reaches servers at their address in it
        (`use_internal_ip`), so the Hub has to be in it as well.
        """,
    ).tag(config=True)

    use_internal_ip = Bool(
        help="""Reach servers at their container's address and publish no port.

        Default: true unless `network_name` is `bridge` or `host`. On Linux, a Hub on the Engine's machine
        reaches containers on the default bridge in this way too.
        """
    ).tag(config=True)

    extra_networks = PerSpawn(
        List(Unicode()),
        [],
        help="""More networks of the Engine that a container is connected to before it is started.

        The Hub reaches servers in `network_name`. May be a function of the spawner.
        """,
    ).tag(config=True)

    links = PerSpawn(
        Dict(),
        {},
        help="""Other containers that this one sees by a name of its own: container name → alias.

        The Engine offers this on the default `bridge` network only; on others, containers see each other by
        their names anyway. May be a function of the spawner.
        """,
    ).tag(config=True)

    use_internal_hostname = Bool(
        help="""Reach servers at their container's name, which the Engine's own name service knows.

        Default: true with `internal_ssl`. The Hub has to be in a container in the same network.
        """
    ).tag(config=True)

    @default("use_internal_hostname")
    def _default_use_hostname(self) -> bool:
        return bool(getattr(self, "internal_ssl", False))

    @default("ssl_alt_names")
    def _get_ssl_alt_names(self) -> list[str]:
        return [f"DNS:{getattr(self, 'internal_hostname', '')}"]

    @default("use_internal_ip")
    def _default_use_ip(self) -> bool:
        return self.network_name not in {"bridge", "host"}
