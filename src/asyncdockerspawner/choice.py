"""Which image a user's choice means, if it means one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from asyncdockerspawner.errors import BadOption, ImageNotAllowed

ANY = "*"
MOST_NAMES = 20
MOST_CHARACTERS = 512
"""An image reference is shorter."""


def as_mapping(allowed: Any) -> Mapping[str, str]:
    """Give name → image of what `allowed_images` holds: a dictionary, a list or nothing."""
    if not allowed or allowed == ANY:
        return {}
    if isinstance(allowed, Mapping):
        return {str(name): str(image) for name, image in allowed.items()}
    if isinstance(allowed, list | tuple | set | frozenset):
        return {str(image): str(image) for image in allowed}
    raise BadOption(f'`allowed_images` is {allowed!r}, but it must be a dict, a list or "*".')


def chosen(choice: object, allowed: Any) -> str:
    """Give the image that `choice` means. Raises ImageNotAllowed with what there is to choose."""
    if not isinstance(choice, str) or len(choice) > MOST_CHARACTERS or not choice.isprintable():
        raise ImageNotAllowed("The option `image` is not the name of an image.")
    if allowed == ANY:
        return choice
    images = as_mapping(allowed)
    if not images:
        raise ImageNotAllowed(
            f"The image {choice!r} cannot be chosen: this Hub does not let users choose an image. "
            "Start the server again to have the usual one."
        )
    if choice not in images:
        raise ImageNotAllowed(
            f"Image {choice!r} is not in the list of allowed images: {_named(images)}. Choose one of them."
        )
    return images[choice]


def _named(images: Iterable[str]) -> str:
    names = list(images)
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more
