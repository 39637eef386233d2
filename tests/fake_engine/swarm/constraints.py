"""Placement constraints as swarmkit reads them (manager/constraint/constraint.go)."""

from __future__ import annotations

import re

from tests.fake_engine.answers import Refused

_KEY = re.compile(r"[a-z_][a-z0-9\-_.]+\Z", re.IGNORECASE)
_VALUE = re.compile(r"[a-z0-9:\-_\s.*()?+\[\]\\^$|/]+\Z", re.IGNORECASE)


def parsed(constraint: str) -> tuple[str, bool, str]:
    """Key, whether it is to be equal, and value. Raises Refused."""
    for sign in ("==", "!="):
        key, found, value = constraint.partition(sign)
        if not found:
            continue
        key, value = key.strip(), value.strip()
        if not _KEY.match(key):
            raise _wrong(f"key '{key}' is invalid")
        if not value or not _VALUE.match(value):
            raise _wrong(f"value '{value}' is invalid")
        return key, sign == "==", value
    raise _wrong("constraint expected one operator from ==, !=")


def _wrong(why: str) -> Refused:
    return Refused(500, f"rpc error: code = Unknown desc = {why}")
