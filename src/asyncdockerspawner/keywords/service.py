"""docker-py's keywords for a service, or the Engine's own keys, as the body of a create.

`extra_container_spec`, `extra_task_spec`, and `extra_create_kwargs` of a service. A container's words of the
latter, which configurations for one machine have, go into the service's container.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.keywords import create, service_parts
from asyncdockerspawner.keywords.convert import (
    NOTHING,
    Table,
    convert,
    count,
    items,
    pairs,
    renamed,
    texts,
    unchanged,
)
from asyncdockerspawner.keywords.create import command_words, env_strings, healthcheck, labels, user
from asyncdockerspawner.keywords.host import sysctls
from asyncdockerspawner.keywords.limits import whole_number
from asyncdockerspawner.keywords.merge import deep_merge, without_empty
from asyncdockerspawner.keywords.service_mounts import service_mounts

CREATE = create.OPTION
CONTAINER = "extra_container_spec"
TASK = "extra_task_spec"
NANOSECONDS = 1_000_000_000


def container_spec(value: Any, option: str = CONTAINER) -> JsonObject:
    """Convert docker-py's keywords for a service's containers; times are nanoseconds."""
    return convert(pairs(value, option), CONTAINER_WORDS, CONTAINER_KEYS, option)


def task_template(value: Any, option: str = TASK) -> JsonObject:
    """Convert docker-py's keywords for a service's tasks."""
    found = convert(pairs(value, option), TASK_WORDS, TASK_KEYS, option)
    # None takes values back; without a container, there is no task.
    return {key: item for key, item in found.items() if key != "ContainerSpec" or item is not None}


def create_service(keywords: Mapping[str, Any]) -> JsonObject:
    """Convert docker-py's keywords for a service, and those for a container that have a home in one."""
    of_container = {word: item for word, item in keywords.items() if word in _OF_A_CONTAINER}
    for word in keywords:
        if (word in create.KEYWORDS or word in create.KEYS) and word not in (*_OF_A_CONTAINER, *CREATE_WORDS):
            raise BadOption(
                f"{CREATE} has the key {word!r}, {_NO_HOME.get(word, 'which a service does not have')}."
            )
    service = convert(_without(keywords, of_container), CREATE_WORDS, CREATE_KEYS, CREATE)
    container = convert(of_container, _OF_A_CONTAINER, (), CREATE)
    task = deep_merge(service.get("TaskTemplate") or {}, {"ContainerSpec": container} if container else {})
    if networks := service.pop("Networks", None):
        # Beside the task, they count no more.
        task["Networks"] = networks
    return {**service, **({"TaskTemplate": task} if task else {})}


def keywords_of(body: Mapping[str, Any]) -> JsonObject:
    """Return the keywords of docker-py's `create_service` that come to this body."""
    return {_KEYWORD_OF.get(key, key.lower()): part for key, part in body.items()}


def file_references(value: Any, option: str, kind: str) -> list[JsonObject]:
    """Convert references to secrets or configs, of which `kind` says which."""
    return [
        _file_reference(each, f"{option}[{number}]", kind) for number, each in enumerate(items(value, option))
    ]


def _file_reference(value: Any, option: str, kind: str) -> JsonObject:
    names = {f"{kind.lower()}_id": f"{kind}ID", f"{kind.lower()}_name": f"{kind}Name", "File": "File"}
    inside = {"filename": "Name", "uid": "UID", "gid": "GID", "mode": "Mode"}
    given = renamed(value, {**names, **inside, "Runtime": "Runtime"}, option)
    file = {key: given.pop(key) for key in inside.values() if key in given}
    file = {**pairs(given.pop("File", {}), option), **file}
    name = given.get(f"{kind}Name")
    if not name or not given.get(f"{kind}ID"):
        raise BadOption(f"{option} needs {kind.lower()}_id and {kind.lower()}_name.")
    file["Name"] = str(file.get("Name") or name)
    return {**given, "File": {"UID": "0", "GID": "0", "Mode": 0o444, **file}}


def _secrets(value: Any, option: str) -> list[JsonObject]:
    return file_references(value, option, "Secret")


def _configs(value: Any, option: str) -> list[JsonObject]:
    return file_references(value, option, "Config")


def _hosts(value: Any, option: str) -> list[str]:
    if isinstance(value, Mapping):
        return [f"{address} {host}" for host, address in sorted(value.items())]
    return texts(value, option)


def _dns(value: Any, option: str) -> JsonObject:
    return renamed(value, {"nameservers": "Nameservers", "search": "Search", "options": "Options"}, option)


def _privileges(value: Any, option: str) -> JsonObject:
    credentials = {"credentialspec_file": "File", "credentialspec_registry": "Registry"}
    selinux = {f"selinux_{word.lower()}": word for word in ("Disable", "User", "Role", "Type", "Level")}
    raw = ("CredentialSpec", "SELinuxContext", "Seccomp", "AppArmor", "NoNewPrivileges")
    given = renamed(value, {word: word for word in (*credentials, *selinux, *raw)}, option)
    found = {key: given[key] for key in raw if key in given}
    for key, words in (("CredentialSpec", credentials), ("SELinuxContext", selinux)):
        if part := {words[word]: given[word] for word in words if word in given}:
            found[key] = {**found.get(key, {}), **part}
    # docker-py writes what it was not given as null, which would unset it here.
    return dict(without_empty(found))


def _seconds(value: Any, option: str) -> int:
    return whole_number(value, option=option) * NANOSECONDS


def _no_name(value: Any, option: str) -> Any:
    raise BadOption(f"{option} is {value!r}, but the spawner must know the name: set name_template.")


def _mode(value: Any, option: str) -> None:
    service_parts.one_replica(value, option)


def _without(keywords: Mapping[str, Any], other: Mapping[str, Any]) -> JsonObject:
    return {word: item for word, item in keywords.items() if word not in other}


CONTAINER_WORDS: Table = {
    "args": ("Args", command_words),
    "cap_add": ("CapabilityAdd", texts),
    "cap_drop": ("CapabilityDrop", texts),
    "command": ("Command", command_words),
    "configs": ("Configs", _configs),
    "dns_config": ("DNSConfig", _dns),
    "env": ("Env", env_strings),
    "groups": ("Groups", texts),
    "healthcheck": ("Healthcheck", healthcheck),
    "hostname": ("Hostname", unchanged),
    "hosts": ("Hosts", _hosts),
    "image": ("Image", unchanged),
    "init": ("Init", unchanged),
    "isolation": ("Isolation", unchanged),
    "labels": ("Labels", labels),
    "mounts": ("Mounts", service_mounts),
    "open_stdin": ("OpenStdin", unchanged),
    "privileges": ("Privileges", _privileges),
    "read_only": ("ReadOnly", unchanged),
    "secrets": ("Secrets", _secrets),
    "stop_grace_period": ("StopGracePeriod", count),
    "stop_signal": ("StopSignal", unchanged),
    "sysctls": ("Sysctls", sysctls),
    "tty": ("TTY", unchanged),
    "user": ("User", user),
    "workdir": ("Dir", unchanged),
    # Values that are checked or merged have one form.
    "Configs": ("Configs", _configs),
    "Env": ("Env", env_strings),
    "Labels": ("Labels", labels),
    "Mounts": ("Mounts", service_mounts),
    "Secrets": ("Secrets", _secrets),
}
CONTAINER_KEYS = frozenset(key for key, _ in CONTAINER_WORDS.values()) | {"OomScoreAdj", "Ulimits"}

TASK_WORDS: Table = {
    "container_spec": ("ContainerSpec", container_spec),
    "force_update": ("ForceUpdate", count),
    "log_driver": ("LogDriver", service_parts.driver),
    "networks": ("Networks", service_parts.networks),
    "placement": ("Placement", service_parts.placement),
    "resources": ("Resources", service_parts.resources),
    "restart_policy": ("RestartPolicy", service_parts.restart_policy),
    "ContainerSpec": ("ContainerSpec", container_spec),
    "Networks": ("Networks", service_parts.networks),
    "Placement": ("Placement", service_parts.placement),
    "Resources": ("Resources", service_parts.resources),
    "RestartPolicy": ("RestartPolicy", service_parts.restart_policy),
}
TASK_KEYS = frozenset(key for key, _ in TASK_WORDS.values()) | {"Runtime"}

CREATE_WORDS: Table = {
    # docker-py takes it, and does nothing with it.
    "endpoint_config": (NOTHING, unchanged),
    "endpoint_spec": ("EndpointSpec", service_parts.endpoint),
    "labels": ("Labels", labels),
    "mode": (NOTHING, _mode),
    "name": (NOTHING, _no_name),
    "networks": ("Networks", service_parts.networks),
    "rollback_config": ("RollbackConfig", service_parts.update_config),
    "task_template": ("TaskTemplate", task_template),
    "update_config": ("UpdateConfig", service_parts.update_config),
    "EndpointSpec": ("EndpointSpec", service_parts.endpoint),
    "Labels": ("Labels", labels),
    "Mode": (NOTHING, _mode),
    "Networks": ("Networks", service_parts.networks),
    "TaskTemplate": ("TaskTemplate", task_template),
}
CREATE_KEYS = frozenset(key for key, _ in CREATE_WORDS.values() if key)
_KEYWORD_OF = {key: word for word, (key, _) in CREATE_WORDS.items() if key and word.islower()}

_OF_A_CONTAINER: Table = {
    "command": ("Args", command_words),
    "detach": (NOTHING, unchanged),
    "entrypoint": ("Command", command_words),
    "environment": ("Env", env_strings),
    "healthcheck": ("Healthcheck", healthcheck),
    "hostname": ("Hostname", unchanged),
    "image": ("Image", unchanged),
    "stdin_open": ("OpenStdin", unchanged),
    "stop_signal": ("StopSignal", unchanged),
    "stop_timeout": ("StopGracePeriod", _seconds),
    "tty": ("TTY", unchanged),
    "user": ("User", user),
    "working_dir": ("Dir", unchanged),
}
"""`create_container`'s words, and where a service has them."""

_NO_HOME = {
    "host_config": "which a service does not have: use extra_host_config",
    "HostConfig": "which a service does not have: use extra_host_config",
    "ports": "which a service does not have: its ports are in extra_endpoint_spec",
    "volumes": "which a service does not have: use the option volumes",
    "networking_config": "which a service does not have: use network_name and extra_networks",
    "runtime": "which a service does not have: make it the default runtime of the nodes that are to have it",
    "platform": "which a service does not have: its platforms are in extra_placement_spec",
}
