"""`extra_create_kwargs`: docker-py's keywords, or the Engine's own keys, as the body of a create."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.keywords import host
from asyncdockerspawner.keywords.convert import (
    NOTHING,
    Table,
    convert,
    count,
    pairs,
    port_key,
    renamed,
    text,
    texts,
    unchanged,
)
from asyncdockerspawner.keywords.host import host_config
from asyncdockerspawner.keywords.spelling import elsewhere

OPTION = "extra_create_kwargs"


@dataclass(frozen=True, slots=True)
class CreateKeywords:
    """What a site's create keywords come to."""

    config: JsonObject
    """Over the container's own keys."""
    host: JsonObject
    """Under the computed HostConfig."""


def create_config(keywords: Mapping[str, Any]) -> CreateKeywords:
    """Convert docker-py's keywords for a container."""
    for keyword in keywords:
        if (meant := keyword if keyword in _HOST_ONLY else elsewhere(keyword)) in _HOST_ONLY:
            name = "" if meant == keyword else f" as {meant!r}"
            raise BadOption(f"{OPTION} has the key {keyword!r}, which belongs in extra_host_config{name}.")
    config = convert(keywords, KEYWORDS, KEYS, OPTION)
    host: JsonObject = config.pop("HostConfig", None) or {}
    # docker-py sends it beside the HostConfig, where no Engine reads it.
    if runtime := config.pop("Runtime", None):
        host = {"Runtime": runtime, **host}
    return CreateKeywords(config=config, host=host)


def keywords_of(body: Mapping[str, Any]) -> JsonObject:
    """Return the keywords that come to this body, as DockerSpawner gives them: the environment is a dict."""
    keywords: JsonObject = {_KEYWORD_OF.get(key, key): value for key, value in body.items()}
    if "environment" in keywords:
        parted = (str(entry).partition("=") for entry in keywords["environment"])
        keywords["environment"] = {name: value if equals else None for name, equals, value in parted}
    if "volumes" in keywords:
        keywords["volumes"] = list(keywords["volumes"])
    return keywords


def env_strings(value: Any, option: str = f"{OPTION}.environment") -> list[str]:
    """Write an environment as the Engine reads it; None declares a variable without a value."""
    if not isinstance(value, Mapping):
        return texts(value, option)
    try:
        return [text(name) if item is None else f"{name}={text(item)}" for name, item in value.items()]
    except UnicodeDecodeError as exc:
        raise BadOption(f"{option} has bytes that are no UTF-8.") from exc


def environment_of(entries: Iterable[Any] | None) -> dict[str, str]:
    """Read an environment that is written as the Engine has it; a name without a value has an empty one."""
    return dict(str(entry).partition("=")[::2] for entry in entries or ())


def command_words(value: Any, option: str) -> list[str]:
    """Read a command: a list of words, or a text that is split as a shell does."""
    if not isinstance(value, str):
        return texts(value, option)
    try:
        return shlex.split(value)
    except ValueError as exc:
        raise BadOption(f"{option} is {value!r}, which is no shell command: {exc}.") from exc


def labels(value: Any, option: str) -> dict[str, str]:
    """Read labels: a dict, or a list of names without values."""
    if isinstance(value, Mapping):
        return {str(name): "" if item is None else str(item) for name, item in value.items()}
    return dict.fromkeys(texts(value, option), "")


def _exposed(value: Any, option: str) -> JsonObject:
    if isinstance(value, Mapping):
        return {port_key(port): {} for port in value}
    if not isinstance(value, list | tuple):
        raise BadOption(f"{option} is {value!r}, but it must be a list of ports or a dict.")
    return {port_key("/".join(map(str, each)) if isinstance(each, tuple) else each): {} for each in value}


def _volumes(value: Any, option: str) -> JsonObject:
    paths = value if isinstance(value, Mapping) else texts(value, option)
    return {str(path): {} for path in paths}


def user(value: Any, option: str) -> str:
    """Read a user: a name or number, with `:` and a group."""
    del option
    return str(value)


def healthcheck(value: Any, option: str) -> JsonObject:
    """Convert a healthcheck; its times are nanoseconds."""
    found = renamed(value, _HEALTHCHECK, option)
    if isinstance(found.get("Test"), str):
        found["Test"] = ["CMD-SHELL", found["Test"]]
    return found


def _host(value: Any, option: str) -> JsonObject:
    return host_config(pairs(value, option), option=option)


def _no_name(value: Any, option: str) -> Any:
    raise BadOption(f"{option} is {value!r}, but the spawner must know the name: set name_template.")


def _no_platform(value: Any, option: str) -> Any:
    raise BadOption(f"{option} is {value!r}: name the image of that platform by its digest instead.")


def _no_proxy(value: Any, option: str) -> None:
    if value:
        raise BadOption(f"{option}: the Hub's own proxy settings are not passed on; set environment.")


_HEALTHCHECK = {
    "test": "Test",
    "interval": "Interval",
    "timeout": "Timeout",
    "retries": "Retries",
    "start_period": "StartPeriod",
    "start_interval": "StartInterval",
}

KEYWORDS: Table = {
    "command": ("Cmd", command_words),
    # It tells docker-py what to attach later, and nothing is attached.
    "detach": (NOTHING, unchanged),
    "domainname": ("Domainname", unchanged),
    "entrypoint": ("Entrypoint", command_words),
    "environment": ("Env", env_strings),
    "healthcheck": ("Healthcheck", healthcheck),
    "host_config": ("HostConfig", _host),
    "hostname": ("Hostname", unchanged),
    "image": ("Image", unchanged),
    "labels": ("Labels", labels),
    "mac_address": ("MacAddress", unchanged),
    "name": (NOTHING, _no_name),
    "network_disabled": ("NetworkDisabled", unchanged),
    "networking_config": ("NetworkingConfig", unchanged),
    "platform": (NOTHING, _no_platform),
    "ports": ("ExposedPorts", _exposed),
    "runtime": ("Runtime", unchanged),
    "stdin_open": ("OpenStdin", unchanged),
    "stop_signal": ("StopSignal", unchanged),
    "stop_timeout": ("StopTimeout", count),
    "tty": ("Tty", unchanged),
    "use_config_proxy": (NOTHING, _no_proxy),
    "user": ("User", user),
    "volumes": ("Volumes", _volumes),
    "working_dir": ("WorkingDir", unchanged),
    # The Engine's keys whose values are merged, and so must have one form.
    "Env": ("Env", env_strings),
    "ExposedPorts": ("ExposedPorts", _exposed),
    "HostConfig": ("HostConfig", _host),
    "Labels": ("Labels", labels),
    "Volumes": ("Volumes", _volumes),
}

KEYS: frozenset[str] = frozenset(key for key, _ in KEYWORDS.values() if key) | {
    "ArgsEscaped",
    "AttachStderr",
    "AttachStdin",
    "AttachStdout",
    "OnBuild",
    "Shell",
    "StdinOnce",
}

_KEYWORD_OF = {key: keyword for keyword, (key, _) in KEYWORDS.items() if key and keyword.islower()}

_HOST_ONLY = {*host.KEYWORDS, *host.KEYS} - {*KEYWORDS, *KEYS, NOTHING}
