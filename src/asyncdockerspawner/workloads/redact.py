"""Secrets taken out of what users and logs are shown. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

MASK = "***"
SHORTEST = 6
"""A shorter value may be any word of the text."""

_SECRET_NAME = re.compile(
    r"token|secret|passw|passphrase|credential|api_?key|private_?key|cookie", re.IGNORECASE
)
_SAID = re.compile(
    r"(?P<name>[\w-]*(?:token|secret|passw(?:or)?d|api_?key)[\"']?\s*[=:]\s*[\"']?)(?P<value>[^\s\"'&,;]+)",
    re.IGNORECASE,
)
_HEADER = re.compile(
    r"(?P<name>\b(?:bearer|basic|authorization:\s*token)\s+)(?P<value>[\w.~+/=-]{6,})", re.IGNORECASE
)
_IN_URL = re.compile(r"(?P<name>://[^\s/:@]*:)(?P<value>[^\s/@]+)(?=@)")


def secrets_of(environment: Mapping[str, str]) -> list[str]:
    """Return the values that a server's environment calls secret."""
    return [value for name, value in environment.items() if _SECRET_NAME.search(name)]


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """Return the text without these secrets, and without what it calls a token, a password or the like."""
    for secret in sorted({each for each in secrets if len(each) >= SHORTEST}, key=len, reverse=True):
        text = text.replace(secret, MASK)
    for pattern in (_HEADER, _IN_URL, _SAID):
        text = pattern.sub(lambda found: found["name"] + MASK, text)
    return text
