"""What `spawner.client` is, and which Engine is meant by what a subclass makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from asyncdockerspawner.client import settings
from asyncdockerspawner.client.settings import EngineSettings
from asyncdockerspawner.docker_py.failures import Unsupported
from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.keywords.host import host_config
from asyncdockerspawner.keywords.merge import plain

SOCKET_BASE_URL = "http+docker://localhost"
"""docker-py's `base_url` for every Unix socket; code takes the Engine's host name from it."""


class PureClient:
    """docker-py's functions that ask nobody; whatever would wait for the Engine says what to use instead."""

    def __init__(self, engine: EngineSettings) -> None:
        self.settings = engine

    @property
    def base_url(self) -> str:
        """The Engine's address in docker-py's spelling."""
        return SOCKET_BASE_URL if self.settings.url.startswith("unix:") else self.settings.url

    def create_host_config(self, **words: Any) -> JsonObject:
        """Write docker-py's words as a HostConfig. Raises BadOption for those that there are not."""
        found = host_config(words, option="create_host_config")
        return {key: value for key, value in found.items() if value is not None}

    def create_networking_config(self, endpoints_config: Mapping[str, Any] | None = None) -> JsonObject:
        """Write networks and what a container is in each of them."""
        return {"EndpointsConfig": plain(endpoints_config)} if endpoints_config else {}

    def create_endpoint_config(  # noqa: PLR0913, PLR0917 - docker-py's words
        self,
        aliases: Sequence[str] | None = None,
        links: Any = None,
        ipv4_address: str | None = None,
        ipv6_address: str | None = None,
        link_local_ips: Sequence[str] | None = None,
        driver_opt: Mapping[str, str] | None = None,
        mac_address: str | None = None,
    ) -> JsonObject:
        """Write what a container is in one network."""
        addresses = {
            "IPv4Address": ipv4_address,
            "IPv6Address": ipv6_address,
            "LinkLocalIPs": link_local_ips,
        }
        found = {
            "Aliases": aliases,
            "Links": self.create_host_config(links=links).get("Links"),
            "IPAMConfig": {key: plain(value) for key, value in addresses.items() if value},
            "DriverOpts": driver_opt,
            "MacAddress": mac_address,
        }
        return {key: plain(value) for key, value in found.items() if value}

    def __getattr__(self, name: str) -> NoReturn:
        raise needs_thread(f"client.{name}", name)


def needs_thread(what: str, method: str = "METHOD") -> Unsupported:
    """Make the refusal of what DockerSpawner did in a thread of its own, to be raised."""
    return Unsupported(
        f"`{what}` needs a thread, and this spawner has none: await spawner.docker({method!r}, …) instead."
    )


def configured_client(
    client_kwargs: Mapping[str, Any], tls_config: Mapping[str, Any], environ: Mapping[str, str]
) -> PureClient:
    """Return the client of the Engine that the options and docker's environment variables mean."""
    return PureClient(settings.resolve(client_kwargs, tls_config, environ))


def settings_of(client: Any) -> EngineSettings:
    """Read which Engine a client means: ours, a `docker.APIClient`, or what has the same attributes.

    Only `base_url`, `verify`, `cert` and `timeout` are read, never a method. Raises BadOption where no Engine
    can be made out, rather than go to the default one.
    """
    if isinstance(client, PureClient):
        return client.settings
    url = _url(client)
    words: dict[str, Any] = {"base_url": url}
    if url.startswith("https:"):
        cert = getattr(client, "cert", None)
        # One file may hold both.
        pair = (cert, cert) if isinstance(cert, str) else cert
        words["tls"] = {"cert": pair, "verify": getattr(client, "verify", True)}
    timeout = getattr(client, "timeout", None)
    if isinstance(timeout, int | float):
        words["timeout"] = timeout
    return settings.resolve(words, {}, {})


def _url(client: Any) -> str:
    url = getattr(client, "base_url", None)
    if not isinstance(url, str) or not url:
        raise BadOption(
            f"`client` gives {client!r}, which does not tell its Engine: it has no base_url. Give a "
            "docker.APIClient, or set `client_kwargs` instead."
        )
    if not url.startswith("http+docker:"):
        return url
    path = getattr(getattr(client, "_custom_adapter", None), "socket_path", None)
    if not isinstance(path, str) or not path:
        raise BadOption(
            f"`client` reaches its Engine by {url}, which is not supported: give unix://PATH, "
            "tcp://HOST:PORT or https://HOST:PORT."
        )
    return f"unix://{path}"
