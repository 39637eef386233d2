"""Image references: the little that a pull has to know of them."""

from __future__ import annotations

import re

from asyncdockerspawner.errors import ImageUnavailable

_IMAGE_ID = re.compile(r"(sha256:)?[0-9a-f]{64}")


def is_image_id(image: str) -> bool:
    """Tell whether this is an image's full id, which names an image but not where it comes from."""
    return _IMAGE_ID.fullmatch(image) is not None


def split_reference(image: str) -> tuple[str, str]:
    """Split into `fromImage` and `tag` of a pull; a digest goes where the tag goes, and beats it.

    A reference without either means `latest`: an empty tag would make the Engine pull every tag.
    """
    if is_image_id(image):
        raise ImageUnavailable(
            f"The image {image} is given by its id, which no registry knows: load it on the Engine's "
            "machine, or name it by tag or digest."
        )
    name, at, digest = image.partition("@")
    name, tag = _split_tag(name)
    return name, digest if at else tag


def _split_tag(name: str) -> tuple[str, str]:
    path, slash, last = name.rpartition("/")
    # Only a colon after the last slash starts a tag; one before it belongs to the registry's port.
    last, _, tag = last.partition(":")
    return f"{path}{slash}{last}", tag or "latest"
