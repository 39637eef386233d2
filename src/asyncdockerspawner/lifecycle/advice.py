"""Advice to the administrator about what is wrong around the servers, given once."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

import jupyterhub

from asyncdockerspawner import errors
from asyncdockerspawner.lifecycle.server import Server
from asyncdockerspawner.workloads.ports import USUAL_PORT, is_shared

MOST_CHARACTERS = 40
"""Of a version: the image says it, and may say anything."""


async def warn_if_hub_is_unreachable(server: Server) -> None:
    """Log what to set where the Hub listens on its own machine's loopback only."""
    name, engine = server.policy.network_name, server.engine
    address = urlsplit(server.hub.names.api_url).hostname or ""
    if is_shared(_network_mode(server)) or not _loopback(address) or name in engine.told:
        return
    engine.told.add(name)
    try:
        found = await engine.client.networks.host_address(name)
    except errors.EngineError:
        # It is advice; a spawn does not fail for want of a detail in it.
        found = None
    gateway = found or "this machine's address in the containers' network"
    server.log.warning(
        "Containers cannot reach the Hub at %s: servers will start but not let anybody in. Set "
        "c.JupyterHub.hub_ip = '0.0.0.0' (or %s) and c.JupyterHub.hub_connect_ip = '%s'.",
        address,
        gateway,
        gateway,
    )


def explain_any(server: Server) -> None:
    """Log once what `port = 0` and `ip = ""` come to: the Hub's words for any."""
    if server.policy.any_port:
        _warn_once(server, f"`port` is 0: servers listen on the usual one, {USUAL_PORT}.")
    if server.policy.ip == "":
        _warn_once(
            server,
            "`ip` is empty: servers listen on every address of their container, IPv4 and IPv6. An image with "
            "a JupyterHub before 5.3 needs 0.0.0.0.",
        )


def warn_of_unknown_name(server: Server) -> None:
    """Log once what to set where the Hub does not know the name by which it is to reach servers."""
    _warn_once(
        server,
        "The Hub's name service does not know the names of containers, which it is to reach servers by: they "
        "are known in the Engine's own networks only.",
        "For a Hub in no container, set `use_internal_hostname` to False; `internal_ssl` makes it True.",
    )


def _warn_once(server: Server, text: str, advice: str = "") -> None:
    if text not in server.engine.told:
        server.engine.told.add(text)
        server.log.warning("%s", f"{text} {advice}".rstrip())


def report_other_version(server: Server, version: str) -> None:
    """Report once per image that its JupyterHub is of another major version than the Hub."""
    ours, version = jupyterhub.__version__, version[:MOST_CHARACTERS]
    if not version or version.partition(".")[0] == ours.partition(".")[0]:
        return
    text = (
        f"The image {server.policy.image} has JupyterHub {version}, but the Hub is {ours}: it may not work."
    )
    server.hub.report(text)
    _warn_once(server, text, "Use an image of the Hub's major version.")


def _network_mode(server: Server) -> str:
    """The network mode, as far as it is known before functions of the site are called."""
    extra = server.policy.extra_host_config
    asked = extra.get("network_mode") or extra.get("NetworkMode") if isinstance(extra, Mapping) else None
    return str(asked or server.policy.network_name)


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
