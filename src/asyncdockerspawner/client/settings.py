"""Which Engine, and how: explicit settings, then the environment, then the default socket."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from asyncdockerspawner.errors import BadOption

DEFAULT_URL = "unix:///var/run/docker.sock"

_TUNING_OF_DOCKER_PY = {
    "user_agent", "num_pools", "credstore_env", "use_ssh_client", "max_pool_size",
}  # fmt: skip
"""`client_kwargs` that mean something only to docker-py's connection pool: accepted, without effect."""

_KNOWN = frozenset({"base_url", "version", "timeout", "tls"} | _TUNING_OF_DOCKER_PY)

_TLS_WORDS = {"client_cert", "ca_cert", "verify", "assert_hostname", "ssl_version"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """The address of one Engine with all that is needed to speak to it; hashable, so that it can be a key."""

    url: str = DEFAULT_URL
    """`unix://PATH`, `http://HOST:PORT` or `https://HOST:PORT`."""
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    verify: bool = True
    api_version: str | None = None
    """Such as "1.41"; None asks the Engine."""
    timeout: float = 60.0
    """Seconds that an ordinary call may take."""

    @property
    def host(self) -> str:
        """Name or address of the Engine's machine; `localhost` for a socket."""
        return urlsplit(self.url).hostname or "localhost"


def resolve(
    client_kwargs: Mapping[str, Any], tls_config: Mapping[str, Any], environ: Mapping[str, str]
) -> EngineSettings:
    """Return the settings that DockerSpawner's options and docker's environment variables add up to.

    Precedence as in DockerSpawner 14: `client_kwargs`, then DOCKER_HOST, DOCKER_TLS_VERIFY and
    DOCKER_CERT_PATH, then `tls_config`. Raises BadOption for words and addresses that cannot be used.
    """
    if unknown := client_kwargs.keys() - _KNOWN:
        raise BadOption(f"`client_kwargs` has unknown keys {sorted(unknown)}; known are {sorted(_KNOWN)}.")
    tls = _tls(client_kwargs.get("tls"), tls_config, environ)
    address = client_kwargs.get("base_url") or environ.get("DOCKER_HOST") or DEFAULT_URL
    return EngineSettings(
        url=_normalised(str(address), secure=tls is not None),
        api_version=_api_version(client_kwargs.get("version")),
        timeout=float(client_kwargs.get("timeout") or 60.0),
        **(tls or {}),
    )


def _api_version(version: Any) -> str | None:
    if version in {None, "", "auto"}:
        return None
    found = str(version).removeprefix("v")
    if re.fullmatch(r"\d+\.\d+", found) is None:
        raise BadOption(
            f"`client_kwargs`: version {version!r} is no API version such as '1.41'; leave it out."
        )
    return found


@lru_cache(maxsize=32)  # It is asked for at each step of each start.
def _normalised(address: str, *, secure: bool) -> str:
    if address.startswith(("/", "unix:")):
        path = address.removeprefix("unix:")
        return "unix:///" + path.lstrip("/")
    if "://" not in address:
        address = f"tcp://{address}"
    parts = urlsplit(address)
    if parts.scheme not in {"tcp", "http", "https"} or not parts.hostname:
        raise BadOption(
            f"The Engine's address {address!r} cannot be used: give unix://PATH, tcp://HOST:PORT or "
            "https://HOST:PORT in DOCKER_HOST or in `client_kwargs` as base_url."
        )
    secure = secure or parts.scheme == "https"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{'https' if secure else 'http'}://{host}:{parts.port or (2376 if secure else 2375)}"


def _tls(explicit: Any, tls_config: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any] | None:
    if explicit is not None and not isinstance(explicit, bool):
        # docker.tls.TLSConfig or a mapping of the same words.
        words = explicit if isinstance(explicit, Mapping) else vars(explicit)
        return _material(words, "client_kwargs")
    if explicit is False:
        return None
    if environ.get("DOCKER_TLS_VERIFY") or environ.get("DOCKER_CERT_PATH"):
        folder = PurePosixPath(environ.get("DOCKER_CERT_PATH") or f"{environ.get('HOME', '')}/.docker")
        return {
            "ca": str(folder / "ca.pem"),
            "cert": str(folder / "cert.pem"),
            "key": str(folder / "key.pem"),
            "verify": bool(environ.get("DOCKER_TLS_VERIFY")),
        }
    if tls_config:
        return _material(tls_config, "tls_config")
    return {} if explicit else None


def _material(words: Mapping[str, Any], option: str) -> dict[str, Any]:
    if option == "tls_config" and (unknown := set(words) - _TLS_WORDS):
        raise BadOption(f"`tls_config` has unknown keys {sorted(unknown)}; known are {sorted(_TLS_WORDS)}.")
    pair = words.get("client_cert") or words.get("cert") or (None, None)
    if isinstance(pair, str) or len(pair) != 2:
        raise BadOption(f"`{option}`: client_cert is a pair (certificate file, key file).")
    verify = words.get("verify")
    ca = words.get("ca_cert") or (verify if isinstance(verify, str) else None)
    return {"ca": ca, "cert": pair[0], "key": pair[1], "verify": verify is not False}
