"""Which image a user's choice means, if it means one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from asyncdockerspawner.errors import BadOption, BadReference, ImageNotAllowed
from asyncdockerspawner.images import references

ANY = "*"
MOST_NAMES = 20
MOST_CHARACTERS = 512
"""An image reference is shorter."""
USUAL = "A start without a choice has the usual image."


def as_mapping(allowed: Any) -> Mapping[str, str]:
    """Return name → image of what `allowed_images` holds: a dictionary, a list or nothing."""
    if not allowed or allowed == ANY:
        return {}
    if isinstance(allowed, Mapping):
        return {str(name): str(image) for name, image in allowed.items()}
    if isinstance(allowed, list | tuple | set | frozenset):
        return {str(image): str(image) for image in allowed}
    raise BadOption(f'`allowed_images` is {allowed!r}, but it must be a dict, a list or "*".')


def chosen(choice: object, allowed: Any) -> str:
    """Return the image that `choice` means. Raises ImageNotAllowed with what there is to choose."""
    images = as_mapping(allowed)
    if isinstance(choice, str) and choice in images:
        return images[choice]
    readable = isinstance(choice, str) and len(choice) <= MOST_CHARACTERS and choice.isprintable()
    if allowed == ANY and readable and _names_image(wanted := str(choice).strip()):
        return wanted
    shown = repr(choice) if readable else "What the option `image` holds"
    raise ImageNotAllowed(f"{shown} {_why_not(images, anything=allowed == ANY)} {USUAL}")


def _names_image(text: str) -> bool:
    # Refused here and not by the pull, so that the choice is forgotten.
    try:
        return references.is_image_id(text) or bool(references.parse(text))
    except BadReference:
        return False


def _why_not(images: Mapping[str, str], *, anything: bool) -> str:
    if anything:
        return "is not the name of an image, such as `name`, `name:tag` or `name@digest`."
    if images:
        return f"is not in the list of allowed images: {_named(images)}. Choose one of them."
    return "cannot be chosen as image: this Hub does not let users choose an image."


def _named(images: Iterable[str]) -> str:
    names = list(images)
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more
