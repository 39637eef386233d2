"""A server's key and certificates under `internal_ssl`: made by the Hub, read in the same step, handed on.

The Hub's files are the same for all servers of a user, and the next spawn writes them anew with other names.
Source of the contract: `jupyterhub.spawner.Spawner.create_certs` and `move_certs`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from asyncdockerspawner import errors
from asyncdockerspawner.hub import site_code
from asyncdockerspawner.keywords.host import host_config
from asyncdockerspawner.lifecycle import resolved
from asyncdockerspawner.spawners.site_values import dictionary
from asyncdockerspawner.workloads import ports
from asyncdockerspawner.workloads.furnishing import CERTIFICATES

if TYPE_CHECKING:
    from asyncdockerspawner.spawners.overrides import Overridable


_LOCAL = frozenset({"DNS:localhost", "IP:127.0.0.1"})
"""What the Hub adds by itself, with `ssl_alt_names_include_local`."""


@dataclass(frozen=True, slots=True)
class CertificateFile:
    """One of a server's three files."""

    hub_path: str
    """The Hub's file."""
    path: str
    """Where the server finds it."""
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Certificates:
    """What a server shows and trusts, as it was made."""

    files: Mapping[str, CertificateFile]
    """`keyfile`, `certfile`, `cafile`, as the Hub calls them → the file."""

    @property
    def paths(self) -> dict[str, str]:
        """Where the server finds each, which the Hub tells it in `JUPYTERHUB_SSL_…`."""
        return {kind: file.path for kind, file in self.files.items()}

    def were_read_from(self, hub_paths: Mapping[str, str]) -> bool:
        """Tell whether these are the contents of the Hub's files."""
        return {kind: file.hub_path for kind, file in self.files.items()} == dict(hub_paths)


@dataclass(slots=True)
class SpawnCertificates:
    """What one spawn has of them."""

    made: Certificates | None = None
    """As they were made last; no use if the class moves them in a way of its own."""
    moved: Certificates | None = None
    """What is to be put where the server finds it."""
    published: tuple[str, ...] = ()
    """Addresses that `extra_host_config` publishes the server's port at."""
    names: frozenset[str] | None = None
    """The names that they were made for; None before they are made."""

    def forget(self) -> None:
        """Forget them: the next spawn has others."""
        self.made = self.moved = self.names = None


def alternative_names(spawner: Overridable) -> tuple[str, ...]:
    """Return all names and addresses by which the Hub may reach the server, as a certificate tells them.

    The address that a container gets in a network is not among them: it has none before it is started.
    """
    return tuple(dict.fromkeys(map(_alternative_name, filter(None, spawner._hosts()))))


def hosts(spawner: Overridable) -> Iterator[str]:
    """Yield the names and addresses of a container that are known before it is started."""
    try:
        engine_host = spawner.engine.settings.host
    except Exception:  # noqa: BLE001 - a class may know its Engine only in its `start`, which asks again
        engine_host = ""
    yield spawner.internal_hostname
    yield from (
        ports.reachable(each, engine_host) for each in (spawner.host_ip, "", *spawner._certificates.published)
    )


async def create(
    spawner: Overridable, create_certs: Callable[[], Awaitable[dict[str, str]]]
) -> dict[str, str]:
    """Have the Hub make them for every name by which the server is reached, and read them.

    Gives the Hub's paths. Raises BadOption where they cannot be made or read.
    """
    await _learn_published(spawner)
    needed, is_set = alternative_names(spawner), spawner.trait_has_value("ssl_alt_names")
    given = spawner.ssl_alt_names
    listed = await _names_of_the_site(spawner)
    already = _LOCAL if spawner.ssl_alt_names_include_local else frozenset()
    spawner.ssl_alt_names = [each for each in dict.fromkeys((*listed, *needed)) if each not in already]
    try:
        hub_paths = await create_certs()
        # From its last line on nothing is awaited: another server's spawn may write the same files.
        spawner._certificates.made = _read(hub_paths)
    except ValueError as exc:
        raise errors.BadOption(
            f"`internal_ssl`: no certificate can be made for {spawner._log_name} with the names "
            f"{', '.join(spawner.ssl_alt_names)} ({exc}); see `ssl_alt_names` and `name_template`."
        ) from exc
    except OSError as exc:
        raise errors.BadOption(
            f"`internal_ssl`: the certificates of {spawner._log_name} cannot be made or read ({exc}); "
            "see `JupyterHub.internal_certs_location`."
        ) from exc
    finally:
        spawner.ssl_alt_names = given
        if not is_set:
            # The default tells the name that the server has then.
            del spawner._trait_values["ssl_alt_names"]
    spawner._certificates.names = frozenset(needed)
    return hub_paths


def move(spawner: Overridable, hub_paths: Mapping[str, str]) -> dict[str, str]:
    """Return where the server will find them. Raises BadOption where a class's own cannot be read."""
    of_the_spawn = spawner._certificates
    if of_the_spawn.made is None or not of_the_spawn.made.were_read_from(hub_paths):
        try:
            of_the_spawn.made = _read(hub_paths)
        except OSError as exc:
            raise errors.BadOption(
                f"The certificates that `create_certs` names cannot be read ({exc})."
            ) from exc
        of_the_spawn.names = frozenset(alternative_names(spawner))
    of_the_spawn.moved = of_the_spawn.made
    return of_the_spawn.made.paths


async def ensure(spawner: Overridable) -> None:
    """Have them for the names by which the server is reached now.

    A class's own `start` may have changed these, and of a wrapped spawner the Hub asks for none.
    """
    if not spawner.internal_ssl:
        return
    await _learn_published(spawner)
    of_the_spawn, needed = spawner._certificates, frozenset(alternative_names(spawner))
    if of_the_spawn.names is None:
        by_the_class_alone = bool(spawner.cert_paths) and not spawner._link.is_wrapped
        if by_the_class_alone:
            return
    elif needed <= of_the_spawn.names:
        return
    # A class's own may write the same files anew.
    of_the_spawn.made = None
    hub_paths = await resolved(spawner.create_certs())
    spawner.cert_paths = await resolved(spawner.move_certs(hub_paths))
    of_the_spawn.names = needed


async def contents(spawner: Overridable) -> Mapping[str, bytes]:
    """Return what is to be put where the server finds it, by path; nothing without `internal_ssl`."""
    await ensure(spawner)
    moved = spawner._certificates.moved
    return {file.path: file.content for file in moved.files.values()} if moved is not None else {}


async def _learn_published(spawner: Overridable) -> None:
    """Have the addresses that the site publishes the port at, in docker-py's words or the Engine's."""
    try:
        bindings = host_config(await dictionary(spawner, "extra_host_config")).get("PortBindings") or {}
    except errors.AsyncDockerSpawnerError:
        # The launch asks again, and tells it.
        return
    at = bindings.get(f"{spawner.port}/tcp") or () if isinstance(bindings, Mapping) else ()
    found = (each.get("HostIp") for each in at if isinstance(each, Mapping))
    spawner._certificates.published = tuple(str(each) for each in found if each)


async def _names_of_the_site(spawner: Overridable) -> Collection[str]:
    """Return what `ssl_alt_names` is, or what its function gives. Raises BadOption."""
    given = spawner.ssl_alt_names
    with site_code.of_option("ssl_alt_names"):
        listed = await resolved(given(spawner)) if callable(given) else given
    if not isinstance(listed, list | tuple | set) or not all(isinstance(each, str) for each in listed):
        raise errors.BadOption(
            f"`ssl_alt_names` has to give a list of texts like 'DNS:name' and 'IP:10.0.0.1', not {listed!r}."
        )
    return listed


def _read(hub_paths: Mapping[str, str]) -> Certificates:
    return Certificates({kind: _file(kind, path) for kind, path in hub_paths.items()})


def _file(kind: str, hub_path: str) -> CertificateFile:
    name = f"{kind.removesuffix('file')}.pem"
    return CertificateFile(hub_path, f"{CERTIFICATES}/{name}", Path(hub_path).read_bytes())


def _alternative_name(host: str) -> str:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return f"DNS:{host}"
    return f"IP:{host}"
