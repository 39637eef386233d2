"""Credentials for a registry, as the Engine takes them. Source: Docker Engine API v1.41, "Authentication"."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

from asyncdockerspawner.jsontypes import JsonObject


def encoded(auth: JsonObject) -> str:
    """Write a registry's words: `username`, `password` or `identitytoken`, `serveraddress`."""
    return base64.urlsafe_b64encode(json.dumps(auth).encode()).decode()


def header(auth: str) -> Mapping[str, str] | None:
    """Return the header that has what `encoded` wrote; None for an empty text."""
    return {"X-Registry-Auth": auth} if auth else None
