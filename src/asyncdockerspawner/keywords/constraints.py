"""Placement constraints of a swarm: what can be told to be wrong before anything is sent.

Source: moby/swarmkit, `manager/constraint`. A constraint on an unknown key is taken there, and fits no node.
"""

from __future__ import annotations

import re

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.keywords.spelling import unknown_keyword

_CONSTRAINT = re.compile(r"\s*(?P<key>.*?)\s*(?P<operator>==|!=)\s*(?P<value>.*?)\s*", re.DOTALL)
_KEY = re.compile(r"[a-z_][a-z0-9_.-]+", re.IGNORECASE | re.ASCII)
_VALUE = re.compile(r"[a-z0-9:_\s.*()?+\[\]\\^$|/-]+", re.IGNORECASE | re.ASCII)
_KEYS = ("node.id", "node.hostname", "node.ip", "node.role", "node.platform.os", "node.platform.arch")
_PREFIXES = ("node.labels.", "engine.labels.")
_ROLES = ("worker", "manager")


def checked(constraint: str, option: str) -> str:
    """Return the constraint. Raises BadOption where the swarm would refuse it, or no node could ever fit."""
    parts = _CONSTRAINT.fullmatch(constraint)
    if parts is None or not _KEY.fullmatch(parts["key"]) or not parts["value"]:
        raise BadOption(f"{option} has {constraint!r}, but a constraint is 'KEY==VALUE' or 'KEY!=VALUE'.")
    if not _VALUE.fullmatch(parts["value"]):
        raise BadOption(
            f"{option} has {constraint!r}: a swarm takes no value with other characters than a-z A-Z 0-9 "
            "and : _ . * ( ) ? + [ ] \\ ^ $ | / - and spaces."
        )
    key = parts["key"].lower()
    if key not in _KEYS and not any(key.startswith(each) and key != each for each in _PREFIXES):
        raise unknown_keyword(option, parts["key"], (*_KEYS, *(f"{each}NAME" for each in _PREFIXES)))
    if key == "node.role" and parts["value"].lower() not in _ROLES:
        raise BadOption(f"{option} has {constraint!r}, but a node's role is {' or '.join(_ROLES)}.")
    return constraint
