"""A sandbox: a container that was made ahead and runs a pause process, whose network one server joins. Pure.

Whether a server can be in one is told by the whole body of its container, whichever option has put there
what. Source: what the Engine refuses beside `container:` (moby, `runconfig/hostconfig.go`), and what it takes
from the other container without a word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads import ports

_OF_THE_NETWORK = {
    "Hostname": "hostname",
    "Domainname": "domainname",
    "MacAddress": "mac_address",
    "NetworkDisabled": "network_disabled",
    "NetworkingConfig": "networking_config",
}
"""Keys of a container's configuration that go with its network, and their options."""
_OF_THE_HOST = {
    "Links": "links",
    "Dns": "dns",
    "DnsOptions": "dns_opt",
    "DnsSearch": "dns_search",
    "ExtraHosts": "extra_hosts",
    "PublishAllPorts": "publish_all_ports",
    "UsernsMode": "userns_mode",
}
"""The same of its `HostConfig`."""
_WITH_THE_ENGINE = {"always", "unless-stopped"}
"""Restart policies by which the Engine starts a container when it starts itself: no sandbox runs then."""
_JOINS = {"", "runc", "crun", "io.containerd.runc.v2"}
"""Runtimes that are known to start a process in the network of another container; virtual machines do not."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a server finds in a sandbox: only servers that want the same can be in it."""

    network: str
    """The Engine's network that it is in."""
    port: str
    """The port that a server listens on, as `8888/tcp`."""
    published_on: str | None
    """Address of the Engine's machine at which the port is published; None where it is not."""

    def __str__(self) -> str:
        where = f"{self.port} in {self.network}"
        return where if self.published_on is None else f"{where}, published on {self.published_on or '*'}"

    def body(self, *, image: str, hub_id: str) -> JsonObject:
        """Return the body of `POST /containers/create` for a sandbox of this Hub's."""
        host: JsonObject = {
            "NetworkMode": self.network,
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "LogConfig": {"Type": "none"},
        }
        if self.published_on is not None:
            host["PortBindings"] = {self.port: [{"HostIp": self.published_on, "HostPort": ""}]}
        return {
            "Image": image,
            "ExposedPorts": {self.port: {}},
            "Labels": {labels.HUB: hub_id, labels.SANDBOX_FOR: str(self)},
            "HostConfig": host,
        }


def shape_of(body: JsonObject) -> Shape | None:
    """Return what a server of this body wants of its network; None where no sandbox can give it."""
    host, exposed = body.get("HostConfig") or {}, list(body.get("ExposedPorts") or ())
    network, bindings = str(host.get("NetworkMode") or ""), host.get("PortBindings") or {}
    if why_not(body):
        return None
    published = next(iter(bindings.values()))[0].get("HostIp") or "" if bindings else None
    return Shape(network, exposed[0], published)


def why_not(body: JsonObject) -> str:
    """Return the option by which a server of this body cannot be in a sandbox; empty where it can."""
    host = body.get("HostConfig") or {}
    found = [option for key, option in _OF_THE_NETWORK.items() if body.get(key)]
    found += [option for key, option in _OF_THE_HOST.items() if host.get(key)]
    if any(str(each).startswith("net.") for each in host.get("Sysctls") or ()):
        found.append("sysctls")
    mode = str(host.get("NetworkMode") or "")
    if ports.is_shared(mode) or mode in {"", "none"}:
        found.append("network_mode")
    if (host.get("Runtime") or "") not in _JOINS:
        found.append("runtime")
    if (host.get("RestartPolicy") or {}).get("Name") in _WITH_THE_ENGINE:
        found.append("restart_policy")
    if len(body.get("ExposedPorts") or ()) != 1:
        found.append("ports")
    elif not _is_usual(host.get("PortBindings") or {}, body["ExposedPorts"]):
        found.append("port_bindings")
    return found[0] if found else ""


def joined(body: JsonObject, sandbox: str) -> JsonObject:
    """Return the body of a server that is in this sandbox; the ports are the sandbox's."""
    document = {key: value for key, value in body.items() if key != "ExposedPorts"}
    host = {key: value for key, value in (body.get("HostConfig") or {}).items() if key != "PortBindings"}
    document["HostConfig"] = {**host, "NetworkMode": f"container:{sandbox}"}
    document["Labels"] = {**(body.get("Labels") or {}), labels.SANDBOX: sandbox}
    return document


def _is_usual(bindings: Mapping[str, Any], exposed: Mapping[str, Any]) -> bool:
    """Whether nothing is published, or the exposed port once, at a port of the Engine's choice."""
    if not bindings:
        return True
    found = [*(bindings.get(next(iter(exposed))) or ())]
    return len(bindings) == 1 and len(found) == 1 and not found[0].get("HostPort")
