"""docker-py's keywords for the parts of a service, or the Engine's own keys: resources, placement, endpoint.

Source of the keys: Docker Engine API v1.41, "Create a service".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.keywords import constraints
from asyncdockerspawner.keywords.convert import Table, convert, count, items, pairs, renamed, texts, unchanged
from asyncdockerspawner.keywords.limits import byte_size, whole_number
from asyncdockerspawner.keywords.merge import deep_merge
from asyncdockerspawner.keywords.spelling import unknown_keyword

_AMOUNTS = {
    "cpu_limit": ("Limits", "NanoCPUs"),
    "mem_limit": ("Limits", "MemoryBytes"),
    "cpu_reservation": ("Reservations", "NanoCPUs"),
    "mem_reservation": ("Reservations", "MemoryBytes"),
    "generic_resources": ("Reservations", "GenericResources"),
}
"""docker-py's keyword → the Engine's section and key."""
_SECTIONS = ("Limits", "Reservations")
_NUMBERS = ("SwapBytes", "MemorySwappiness")
_SPREAD = "spread"
_MODES = ("vip", "dnsrr")
_PUBLISH_MODES = ("ingress", "host")
_PROTOCOLS = ("tcp", "udp", "sctp")
_CONDITIONS = ("none", "on-failure", "any")
_REPLICATED = "replicated"


def resources(value: Any, option: str) -> JsonObject:
    """Convert resources. CPUs are counted in billionths, as docker-py does."""
    found: JsonObject = {}
    for keyword, item in pairs(value, option).items():
        if keyword in _AMOUNTS:
            section, key = _AMOUNTS[keyword]
            amount = None if item is None else _amount(key, item, f"{option}.{keyword}")
            part: JsonObject = {section: {key: amount}}
        elif keyword in _SECTIONS:
            part = {keyword: _section(item, f"{option}.{keyword}")}
        elif keyword in _NUMBERS:
            part = {keyword: None if item is None else whole_number(item, option=f"{option}.{keyword}")}
        else:
            raise unknown_keyword(option, keyword, (*_AMOUNTS, *_SECTIONS, *_NUMBERS))
        for section in found.keys() & part.keys() & set(_SECTIONS):
            if twice := set(found[section] or ()) & set(part[section] or ()):
                name = f"{section}.{min(twice)}"
                raise BadOption(f"{option} sets {name} twice, by docker-py's word and by the Engine's key.")
        found = deep_merge(found, part)
    return found


def _section(value: Any, option: str) -> Any:
    if value is None:
        return None
    keys = {key for _, key in _AMOUNTS.values()}
    return {
        key: _amount(key, item, f"{option}.{key}") if key in keys and item is not None else item
        for key, item in pairs(value, option).items()
    }


def _amount(key: str, value: Any, option: str) -> Any:
    if key == "GenericResources":
        return _generic_resources(value, option)
    return byte_size(value, option=option) if key == "MemoryBytes" else whole_number(value, option=option)


def _generic_resources(value: Any, option: str) -> list[JsonObject]:
    if isinstance(value, Mapping):
        return [_counted(kind, number, f"{option}[{kind!r}]") for kind, number in value.items()]
    return [
        _generic_resource(each, f"{option}[{number}]") for number, each in enumerate(items(value, option))
    ]


def _generic_resource(value: Any, option: str) -> JsonObject:
    discrete = renamed(value, {"DiscreteResourceSpec": "DiscreteResourceSpec"}, option)
    spec = renamed(discrete.get("DiscreteResourceSpec"), {"kind": "Kind", "value": "Value"}, option)
    return _counted(spec.get("Kind"), spec.get("Value"), option)


def _counted(kind: Any, number: Any, option: str) -> JsonObject:
    # A swarm refuses to reserve one of them by its name: which one it is, it chooses.
    return {"DiscreteResourceSpec": {"Kind": str(kind or ""), "Value": count(number, option)}}


def _constraints(value: Any, option: str) -> list[str]:
    return [constraints.checked(each, option) for each in texts(value, option)]


def _preferences(value: Any, option: str) -> list[JsonObject]:
    return [_preference(each, option) for each in items(value, option)]


def _preference(value: Any, option: str) -> JsonObject:
    if isinstance(value, Mapping):
        return renamed(value, {"Spread": "Spread"}, option)
    parts = items(value, option)
    if len(parts) != 2 or parts[0] != _SPREAD:
        raise BadOption(f"{option} has {value!r}, but a preference is ('{_SPREAD}', 'node.labels.NAME').")
    return {"Spread": {"SpreadDescriptor": parts[1]}}


def _platforms(value: Any, option: str) -> list[JsonObject]:
    return [_platform(each, option) for each in items(value, option)]


def _platform(value: Any, option: str) -> JsonObject:
    if isinstance(value, Mapping):
        return renamed(value, {"architecture": "Architecture", "os": "OS"}, option)
    parts = items(value, option)
    if len(parts) != 2:
        raise BadOption(f"{option} has {value!r}, but a platform is (architecture, system).")
    return {"Architecture": parts[0], "OS": parts[1]}


PLACEMENT: Table = {
    "constraints": ("Constraints", _constraints),
    "preferences": ("Preferences", _preferences),
    "platforms": ("Platforms", _platforms),
    "maxreplicas": ("MaxReplicas", count),
    # Values that are checked or merged have one form.
    "Constraints": ("Constraints", _constraints),
    "Preferences": ("Preferences", _preferences),
    "Platforms": ("Platforms", _platforms),
}


def placement(value: Any, option: str) -> JsonObject:
    """Convert a placement; a list is its constraints, as in docker-py."""
    words = value if isinstance(value, Mapping) else {"constraints": value}
    return convert(words, PLACEMENT, {"MaxReplicas"}, option)


def _mode(value: Any, option: str) -> str:
    return _one_of(value, _MODES, option)


def _ports(value: Any, option: str) -> list[JsonObject]:
    if isinstance(value, Mapping):
        return [_port(published, target, option) for published, target in value.items()]
    return [
        {"Protocol": "tcp", **convert(pairs(each, option), PORT, (), option)} for each in items(value, option)
    ]


def _port(published: Any, target: Any, option: str) -> JsonObject:
    parts = target if isinstance(target, list | tuple) else (target,)
    if not 1 <= len(parts) <= 3:
        raise BadOption(f"{option} has {target!r}, but a port is (port inside, protocol, mode).")
    inside, protocol, mode = (*parts, None, None)[:3]
    given = {
        "TargetPort": inside,
        "Protocol": protocol or "tcp",
        "PublishedPort": published,
        "PublishMode": mode,
    }
    return convert({key: item for key, item in given.items() if item is not None}, PORT, (), option)


def _protocol(value: Any, option: str) -> str:
    return _one_of(value, _PROTOCOLS, option)


def _publish_mode(value: Any, option: str) -> str:
    return _one_of(value, _PUBLISH_MODES, option)


PORT: Table = {
    "name": ("Name", unchanged),
    "protocol": ("Protocol", _protocol),
    "publish_mode": ("PublishMode", _publish_mode),
    "published_port": ("PublishedPort", count),
    "target_port": ("TargetPort", count),
    "Name": ("Name", unchanged),
    "Protocol": ("Protocol", _protocol),
    "PublishMode": ("PublishMode", _publish_mode),
    "PublishedPort": ("PublishedPort", count),
    "TargetPort": ("TargetPort", count),
}
ENDPOINT: Table = {
    "mode": ("Mode", _mode),
    "ports": ("Ports", _ports),
    "Mode": ("Mode", _mode),
    "Ports": ("Ports", _ports),
}


def endpoint(value: Any, option: str) -> JsonObject:
    """Convert an endpoint's mode and ports."""
    return convert(pairs(value, option), ENDPOINT, (), option)


def restart_policy(value: Any, option: str) -> JsonObject:
    """Convert a restart policy; its times are nanoseconds."""
    words = {"condition": "Condition", "delay": "Delay", "max_attempts": "MaxAttempts", "window": "Window"}
    found = renamed({"condition": value} if isinstance(value, str) else value, words, option)
    if "Condition" in found:
        _one_of(found["Condition"], _CONDITIONS, f"{option}.condition")
    return found


def driver(value: Any, option: str) -> JsonObject:
    """Convert a driver of logs or volumes."""
    return renamed(value, {"name": "Name", "options": "Options"}, option)


def networks(value: Any, option: str) -> list[JsonObject]:
    """Convert networks: names, or dicts of what a service is called in them."""
    named = [value] if isinstance(value, str) else items(value, option)
    words = {"target": "Target", "aliases": "Aliases", "options": "DriverOpts"}
    return [{"Target": each} if isinstance(each, str) else renamed(each, words, option) for each in named]


def update_config(value: Any, option: str) -> JsonObject:
    """Convert how a service would be updated, or rolled back; its times are nanoseconds."""
    words = {
        "parallelism": "Parallelism",
        "delay": "Delay",
        "failure_action": "FailureAction",
        "monitor": "Monitor",
        "max_failure_ratio": "MaxFailureRatio",
        "order": "Order",
    }
    return renamed(value, words, option)


def one_replica(value: Any, option: str) -> None:
    """Check a service's mode. Raises BadOption for anything but one replica."""
    found = pairs({value: {}} if isinstance(value, str) else value, option)
    for mode, part in found.items():
        replicas = pairs(part or {}, option).get("Replicas")
        if str(mode).lower() != _REPLICATED or replicas not in {None, 1}:
            raise BadOption(f"{option} is {dict(found)!r}, but a server is a service of one replica.")


def _one_of(value: Any, known: tuple[str, ...], option: str) -> str:
    if value not in known:
        raise BadOption(f"{option} is {value!r}, but it must be one of {', '.join(map(repr, known))}.")
    return str(value)
