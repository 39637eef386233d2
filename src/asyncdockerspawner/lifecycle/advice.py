"""Advice to the administrator about what is wrong around the servers, given once."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

import jupyterhub

from asyncdockerspawner import errors
from asyncdockerspawner.lifecycle.host import Host
from asyncdockerspawner.workloads.container import endpoint
from asyncdockerspawner.workloads.container.ports import USUAL_PORT, is_shared

MOST_CHARACTERS = 40
"""Of a version: the image says it, and may say anything."""


async def say_if_the_hub_is_out_of_reach(host: Host) -> None:
    """Say what to set where the Hub listens on its own machine's loopback only."""
    name, engine = host.network_name, host.engine
    address = urlsplit(host.identity["JUPYTERHUB_API_URL"]).hostname or ""
    if is_shared(_network_mode(host)) or not _loopback(address) or name in engine.told:
        return
    engine.told.add(name)
    try:
        network = await engine.client.networks.inspect(name) or {}
    except errors.EngineError:
        # It is advice; a spawn does not fail for want of a detail in it.
        network = {}
    gateway = endpoint.host_address(network) or "this machine's address in the containers' network"
    host.log.warning(
        "Containers cannot reach the Hub at %s: servers will start but not let anybody in. Set "
        "c.JupyterHub.hub_ip = '0.0.0.0' (or %s) and c.JupyterHub.hub_connect_ip = '%s'.",
        address,
        gateway,
        gateway,
    )


def say_what_any_means(host: Host) -> None:
    """Say once what `port = 0` and `ip = ""` come to: the Hub's words for any."""
    if host.any_port:
        _say_once(host, f"`port` is 0: servers listen on the usual one, {USUAL_PORT}.")
    if host.ip == "":
        _say_once(
            host,
            "`ip` is empty: servers listen on every address of their container, IPv4 and IPv6. An image with "
            "a JupyterHub before 5.3 needs 0.0.0.0.",
        )


def _say_once(host: Host, text: str, advice: str = "") -> None:
    if text not in host.engine.told:
        host.engine.told.add(text)
        host.log.warning("%s", f"{text} {advice}".rstrip())


def say_if_versions_differ(host: Host, version: str) -> None:
    """Say once per image that its JupyterHub is of another major version than the Hub."""
    ours, version = jupyterhub.__version__, version[:MOST_CHARACTERS]
    if not version or version.partition(".")[0] == ours.partition(".")[0]:
        return
    text = f"The image {host.image} has JupyterHub {version}, but the Hub is {ours}: it may not work."
    host.report(text)
    _say_once(host, text, "Use an image of the Hub's major version.")


def _network_mode(host: Host) -> str:
    """The network mode, as far as it is known before functions of the site are called."""
    extra = host.extra_host_config
    asked = extra.get("network_mode") or extra.get("NetworkMode") if isinstance(extra, Mapping) else None
    return str(asked or host.network_name)


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
