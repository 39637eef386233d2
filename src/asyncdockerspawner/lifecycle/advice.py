"""Advice to the administrator about what is wrong around the servers, given once."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

import jupyterhub

from asyncdockerspawner import endpoint, errors
from asyncdockerspawner.lifecycle.host import Host

MOST_CHARACTERS = 40
"""Of a version: the image says it, and may say anything."""


async def say_if_the_hub_is_out_of_reach(host: Host) -> None:
    """Say what to set where the Hub listens on its own machine's loopback only."""
    name, engine = host.network_name, host.engine
    address = urlsplit(host.identity["JUPYTERHUB_API_URL"]).hostname or ""
    if name == "host" or not _loopback(address) or name in engine.told:
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


def say_if_versions_differ(host: Host, version: str) -> None:
    """Say once per image that its JupyterHub is of another major version than the Hub."""
    ours, version = jupyterhub.__version__, version[:MOST_CHARACTERS]
    if not version or version.partition(".")[0] == ours.partition(".")[0]:
        return
    text = f"The image {host.image} has JupyterHub {version}, but the Hub is {ours}: it may not work."
    host.report(text)
    if text not in host.engine.told:
        host.engine.told.add(text)
        host.log.warning("%s Use an image of the Hub's major version.", text)


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
