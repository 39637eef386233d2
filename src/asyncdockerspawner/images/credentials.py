"""Which credentials an image is pulled with: pure rules over docker's `config.json` and `registry_auth`.

Sources: the `config.json` of docker's command line (`auths`, `credHelpers`, `credsStore`), the protocol of
docker-credential-helpers, and the Engine API's X-Registry-Auth. Neither a text nor an error of this room
shows a secret.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.jsontypes import JsonObject

OPTION = "`registry_auth`"
DOCKER_HUB = "https://index.docker.io/v1/"
"""What docker's command line and its helpers call the registry of images without a host."""

_NAMES_OF_DOCKER_HUB = {"docker.io", "index.docker.io", "registry-1.docker.io"}
_PATHS_OF_THE_PROTOCOL = {"", "v1", "v2"}
_HOST = re.compile(r"(https?://)?[\w.\-\[\]]+(:[0-9]+)?(/[\w.\-/]*)?", re.ASCII)
_HELPER = re.compile(r"[\w.\-]+", re.ASCII)
_SALT = secrets.token_bytes(32)
_IDENTITY = "<token>"
_NOT_FOUND = b"credentials not found"
_WORDS = ("username", "password", "identitytoken", "registrytoken", "auth")
_WITHOUT_EFFECT = {"serveraddress", "email"}
_WANTED = "`username` and `password`, `identitytoken`, `registrytoken` or `auth` (base64 of `name:password`)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a registry is shown; its text names the registry only."""

    serveraddress: str
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    identitytoken: str = field(default="", repr=False)
    registrytoken: str = field(default="", repr=False)

    def document(self) -> JsonObject:
        """Return the words for X-Registry-Auth. Source: Docker Engine API v1.41, "Authentication"."""
        return {one.name: value for one in fields(self) if (value := getattr(self, one.name))}

    @property
    def key(self) -> str:
        """A key for these credentials, in this process only, from which they cannot be read."""
        text = json.dumps(self.document(), sort_keys=True).encode()
        return hashlib.blake2b(text, key=_SALT, digest_size=32).hexdigest()


@dataclass(frozen=True, slots=True)
class Ask:
    """A credential helper knows: `program` is to be asked for `server`."""

    helper: str
    server: str

    @property
    def program(self) -> str:
        """The helper's program."""
        return f"docker-credential-{self.helper}"


def decide(config: Mapping[str, Any], registry: str, source: str) -> Credentials | Ask | None:
    """Find what a `config.json` has for a registry: `credHelpers`, then `credsStore`, then `auths`.

    `registry` is a host, or a host and the repository's path, which then finds the entry for the longest
    part of it. `source` is the file's name. Raises BadOption for an entry that cannot be used.
    """
    helper = _helper_of(config, registry, source)
    return Ask(helper, server_address(registry)) if helper else stored(config, registry, source)


def stored(config: Mapping[str, Any], registry: str, source: str) -> Credentials | None:
    """Find what `auths` of a `config.json` has for a registry. Raises BadOption as `decide`."""
    # A helper's users have empty entries here, which say no more than that they have logged in.
    entries = {key: entry for key, entry in _section(config, "auths", source).items() if entry}
    key = _nearest(entries, registry)
    return None if key is None else _credentials(entries[key], server_address(registry), source)


def answered(ask: Ask, code: int, output: bytes) -> Credentials | None:
    """Read a helper's answer, its exit code and output; None where it has no credentials.

    Raises BadOption where it failed. Source: docker-credential-helpers, "Development".
    """
    if code:
        # Helpers tell this in words only, and all of them in the same.
        if _NOT_FOUND in output.lower():
            return None
        raise BadOption(f"The credential helper {ask.program} ended with exit code {code}. {by_hand(ask)}")
    try:
        answer = json.loads(output)
        username, secret = answer["Username"], answer["Secret"]
    except (ValueError, LookupError, TypeError, RecursionError):
        # Without its cause, which would carry the helper's output.
        raise _misread(ask) from None
    if username == "" and secret == "":
        return None
    if not (isinstance(username, str) and isinstance(secret, str) and username and secret):
        raise _misread(ask)
    if username == _IDENTITY:
        return Credentials(serveraddress=ask.server, identitytoken=secret)
    return Credentials(serveraddress=ask.server, username=username, password=secret)


def by_hand(ask: Ask) -> str:
    """Say how to find out what a helper lacks."""
    return f"Run `echo {shlex.quote(ask.server)} | {ask.program} get` as the Hub's user to see what it lacks."


def from_option(option: Any, registry: str) -> Credentials | None:
    """Find what the dictionary `registry_auth` has for a registry; None where it does not name it.

    Raises BadOption unless its keys are registries, written as in images or as docker writes them, and its
    values are dictionaries.
    """
    if option is None:
        return None
    if not isinstance(option, Mapping):
        raise BadOption(f"{OPTION} has to be a dictionary, registry → credentials, or a function.")
    if not all(isinstance(key, str) and _HOST.fullmatch(key) for key in option):
        raise BadOption(
            f"{OPTION}: each key has to be the host of one registry, such as 'quay.io', "
            "'localhost:5000' or 'docker.io'."
        )
    if not all(isinstance(entry, Mapping) for entry in option.values()):
        raise BadOption(f"{OPTION}: each registry's value has to be a dictionary with {_WANTED}.")
    key = _nearest(option, registry)
    return None if key is None else from_entry(option[key], registry)


def from_entry(entry: Any, registry: str) -> Credentials | None:
    """Read what `registry_auth` gives for one registry, as its function does; None is None.

    Raises BadOption where it is no usable credentials.
    """
    if entry is None:
        return None
    server = server_address(registry)
    if isinstance(entry, Mapping) and not set(entry) <= {*_WORDS, *_WITHOUT_EFFECT}:
        # Not named: who mixes up keys and values would have a secret in the log.
        raise BadOption(f"{OPTION}: the entry for {server} has an unknown key; known are {_WANTED}.")
    found = _credentials(entry, server, OPTION)
    if found is None:
        raise BadOption(f"{OPTION}: the entry for {server} is empty; give {_WANTED}.")
    return found


def server_address(registry: str) -> str:
    """Name a registry as docker's command line does, for helpers and for the Engine."""
    host, _ = _place(registry)
    return DOCKER_HUB if host == "docker.io" else registry.partition("/")[0]


def _helper_of(config: Mapping[str, Any], registry: str, source: str) -> str:
    helpers = _section(config, "credHelpers", source)
    key = _nearest(helpers, registry)
    # An empty name sends this registry back to `auths`, as docker's command line has it.
    helper = (config.get("credsStore") or "") if key is None else helpers[key]
    if not isinstance(helper, str) or (helper and not _HELPER.fullmatch(helper)):
        where = "credsStore" if key is None else "credHelpers"
        raise BadOption(
            f"{source}: `{where}` has to name a helper by what follows `docker-credential-` in the name of "
            "its program."
        )
    return helper


def _section(config: Mapping[str, Any], name: str, source: str) -> Mapping[str, Any]:
    section = config.get(name) or {}
    if not isinstance(section, Mapping):
        raise BadOption(f"{source}: `{name}` has to be an object, registry → entry.")
    return section


def _nearest(keys: Iterable[str], registry: str) -> str | None:
    """Return the key that names the registry most precisely, else any key of its host, as docker does."""
    host, wanted = _place(registry)
    places = [(key, path) for key in keys for there, path in [_place(key)] if there == host]
    # Of keys that say the same, the one written like the image's host is first.
    places.sort(key=lambda place: place[0] != registry)
    fitting = [(key, path) for key, path in places if f"{wanted}/".startswith(f"{path}/" if path else "")]
    if fitting:
        return max(fitting, key=lambda place: len(place[1]))[0]
    return places[0][0] if places else None


def _place(key: str) -> tuple[str, str]:
    """Split into host and path; schemes, and paths that belong to the registry's protocol, say nothing."""
    host, _, path = key.removeprefix("https://").removeprefix("http://").partition("/")
    host, path = host.lower(), path.strip("/")
    return (
        "docker.io" if host in _NAMES_OF_DOCKER_HUB else host,
        "" if path in _PATHS_OF_THE_PROTOCOL else path,
    )


def _credentials(entry: Any, server: str, source: str) -> Credentials | None:
    if not isinstance(entry, Mapping):
        raise BadOption(f"{source}: the entry for {server} has to be a dictionary with {_WANTED}.")
    words = {name: entry.get(name) or "" for name in _WORDS}
    if not all(isinstance(word, str) for word in words.values()):
        raise BadOption(f"{source}: the entry for {server} has to have texts for {_WANTED}.")
    for token in ("identitytoken", "registrytoken"):
        if words[token]:
            return Credentials(serveraddress=server, **{token: words[token]})
    username, password = words["username"], words["password"]
    if words["auth"]:
        username, password = _decoded(words["auth"], server, source)
    if username and password:
        return Credentials(serveraddress=server, username=username, password=password)
    if username or password:
        lacking = "password" if username else "user name"
        raise BadOption(f"{source}: the entry for {server} has no {lacking}; it needs {_WANTED}.")
    return None


def _decoded(auth: str, server: str, source: str) -> tuple[str, str]:
    try:
        username, colon, password = base64.b64decode(auth, validate=True).decode().partition(":")
    except ValueError:
        colon = ""
    if not colon:
        # Without its cause, which would carry what was decoded.
        raise BadOption(
            f"{source}: `auth` of the entry for {server} is not the base64 of `name:password`; "
            f"`docker login` writes it so."
        ) from None
    # Some versions of docker's command line have padded the password.
    return username, password.rstrip("\0")


def _misread(ask: Ask) -> BadOption:
    return BadOption(
        f"The credential helper {ask.program} gave no answer with `Username` and `Secret`. {by_hand(ask)}"
    )
