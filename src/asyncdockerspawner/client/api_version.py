"""Which version of the Engine's API is spoken: the newest that both sides know.

Source: Docker Engine API, "Versioned API and SDK". What has changed since 1.41 was read against what is sent
and read here, up to `NEWEST`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from asyncdockerspawner import errors
from asyncdockerspawner.client.translate import UnreadableAnswer, json_of

Version: TypeAlias = tuple[int, int]

NEWEST: Version = (1, 52)
"""The newest version this code was written for, Engine 29's; a newer Engine is spoken to in this one."""
OLDEST: Version = (1, 40)
"""Engine 19.03's."""


@dataclass(frozen=True, slots=True)
class Offer:
    """The versions that an Engine speaks."""

    newest: Version
    oldest: Version = (0, 0)


def common(offer: Offer, url: str) -> Version:
    """Return the newest version that both sides know. Raises EngineRefused where there is none."""
    if offer.newest < OLDEST:
        why = f"its newest is {text(offer.newest)}, and {text(OLDEST)} is the oldest that can be used here"
        advice = "update the Engine to 19.03 or newer"
    elif offer.oldest > NEWEST:
        why = f"its oldest is {text(offer.oldest)}, and {text(NEWEST)} is the newest that is known here"
        advice = "update asyncdockerspawner"
    else:
        return min(offer.newest, NEWEST)
    raise errors.EngineRefused("agree on an API version with", url, f"{why}: {advice}")


def offer_in(body: bytes) -> Offer:
    """Read `GET /version`. Raises UnreadableAnswer."""
    found = json_of(body)
    if not isinstance(found, dict):
        raise UnreadableAnswer(f"no JSON object: {body[:80]!r}")
    return Offer(version(found.get("ApiVersion")), version(found.get("MinAPIVersion") or "0.0"))


def offer_in_header(header: str | None) -> Offer:
    """Read the header that goes with every answer: the newest. Without it, the Engine took what it got."""
    return Offer(version(header) if header else NEWEST)


def offer_in_refusal(message: str) -> Offer:
    """Read the refusal of a version, which names the Engine's newest or oldest."""
    found = re.search(r"(maximum|minimum) supported API version is (\d+\.\d+)", message, re.IGNORECASE)
    if found is None:
        raise UnreadableAnswer(f"no API version: {message[:80]}")
    named = version(found[2])
    return Offer(named, named if found[1].lower() == "minimum" else (0, 0))


def version(found: object) -> Version:
    """Read a version. Raises UnreadableAnswer."""
    parts = re.fullmatch(r"(\d+)\.(\d+)", str(found))
    if parts is None:
        raise UnreadableAnswer(f"no API version: {str(found)[:80]!r}")
    return int(parts[1]), int(parts[2])


def text(found: Version) -> str:
    """Write a version."""
    return ".".join(map(str, found))
