"""Image references: their grammar, and what they mean where parts are left out. Pure.

Source: the grammar and normalisation of github.com/distribution/reference, which the Engine uses itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from asyncdockerspawner.errors import BadReference, ImageUnavailable

HUB = "docker.io"
"""The registry of a reference that names none."""
MOST_CHARACTERS = 255
"""Of registry and path together."""

_IMAGE_ID = re.compile(r"(sha256:)?[0-9a-f]{64}", re.ASCII)
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_REGISTRY = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?", re.ASCII)
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*", re.ASCII)
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9A-Fa-f]{32,}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Reference:
    """The parts of `registry/path:tag@digest` as they are written; what is left out is empty."""

    registry: str
    path: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"

    @property
    def name(self) -> str:
        """Registry and path, as they are written."""
        return f"{self.registry}/{self.path}" if self.registry else self.path

    @property
    def host(self) -> str:
        """The registry that is meant."""
        return HUB if self.registry in {"", f"index.{HUB}"} else self.registry

    @property
    def canonical(self) -> str:
        """The reference with nothing left out: two references to the same image have the same."""
        path = f"library/{self.path}" if self.host == HUB and "/" not in self.path else self.path
        # A digest names one image, whatever the tag says.
        return f"{self.host}/{path}" + (f"@{self.digest}" if self.digest else f":{self.tag or 'latest'}")


def is_image_id(image: str) -> bool:
    """Tell whether this is an image's full id, which names an image but not where it comes from."""
    return _IMAGE_ID.fullmatch(image) is not None


def parse(image: str) -> Reference:
    """Parse a reference. Raises BadReference with the part that is wrong."""
    name, at, digest = image.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise _bad(image, "what follows the `@` is no digest, such as `sha256:` and 64 hexadecimal digits")
    # Only a colon after the last slash starts a tag; one before it belongs to the registry's port.
    colon = name.find(":", name.rfind("/") + 1)
    name, tag = (name, "") if colon < 0 else (name[:colon], name[colon + 1 :])
    if tag and not _TAG.fullmatch(tag):
        raise _bad(
            image,
            "a tag has up to 128 letters, digits, `_`, `.` and `-`, and begins with none of the last two",
        )
    first, slash, rest = name.partition("/")
    registry, path = (first, rest) if slash and _names_registry(first) else ("", name)
    if registry and not _REGISTRY.fullmatch(registry):
        raise _bad(image, f"{registry!r} is no registry's name or address")
    if not _PATH.fullmatch(path):
        raise _bad(
            image, "a repository's name has lower-case letters, digits, and `.`, `_`, `-` or `/` between them"
        )
    if len(name) > MOST_CHARACTERS:
        raise _bad(image, f"the name has more than {MOST_CHARACTERS} characters")
    return Reference(registry, path, tag, digest)


def split_reference(image: str) -> tuple[str, str]:
    """Split into `fromImage` and `tag` of a pull; a digest goes where the tag goes, and beats it.

    A reference without either means `latest`: an empty tag would make the Engine pull every tag. Raises
    BadReference, and ImageUnavailable for an image's id.
    """
    if is_image_id(image):
        raise ImageUnavailable(
            f"The image {image} is given by its id, which no registry knows.",
            advice="Load it on the Engine's machine, or name it by tag or digest.",
        )
    found = parse(image)
    return found.name, found.digest or found.tag or "latest"


def _names_registry(first: str) -> bool:
    return first == "localhost" or any(sign in first for sign in ".:[") or first != first.lower()


def _bad(image: str, why: str) -> BadReference:
    shown = image if len(image) <= MOST_CHARACTERS else f"{image[:MOST_CHARACTERS]}…"
    return BadReference(
        f"{shown!r} is no image reference: {why}.", advice="It is from `image` or `allowed_images`."
    )
