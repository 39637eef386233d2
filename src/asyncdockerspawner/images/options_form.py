"""The form in which users choose an image. Pure: names and images in, HTML out."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment

from asyncdockerspawner import errors
from asyncdockerspawner.images.allowed import ANY, MOST_CHARACTERS, as_mapping, chosen

# The classes are Bootstrap 5's, which the Hub's pages have in light and dark; the rest is plain HTML.
_TEMPLATES = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
_SELECT = _TEMPLATES.from_string("""\
<div class="mb-3">
  <label class="form-label" for="image">Image</label>
  <select class="form-select" id="image" name="image" required>
    {% for name in names %}
    <option value="{{ name }}"{{ " selected" if name == selected }}>{{ name }}</option>
    {% endfor %}
  </select>
</div>
""")
_TEXT = _TEMPLATES.from_string("""\
<div class="mb-3">
  <label class="form-label" for="image">Image</label>
  <input class="form-control" id="image" name="image" value="{{ value }}" maxlength="{{ most }}"
         autocomplete="off" autocapitalize="none" spellcheck="false" aria-describedby="image-help">
  <div class="form-text" id="image-help">As name, name:tag or name@digest. Empty is the usual one.</div>
</div>
""")


def render(allowed: Any, *, image: str, previous: object) -> str:
    """Return the form for `allowed_images`, or "" where there are not two images to choose from.

    Selected is the `previous` choice where it is still there, else `image`, the usual one, else the first.
    Raises BadOption where `allowed` is nothing that can be chosen from.
    """
    if allowed == ANY:
        return _TEXT.render(value=_still_allowed(previous, allowed) or image, most=MOST_CHARACTERS)
    images = as_mapping(allowed)
    if len(images) < 2:
        return ""
    usual = next((name for name, meant in images.items() if meant == image), next(iter(images)))
    return _SELECT.render(names=list(images), selected=_still_allowed(previous, allowed) or usual)


def _still_allowed(previous: object, allowed: Any) -> str:
    try:
        chosen(previous, allowed)
    except errors.ImageNotAllowed:
        return ""
    return str(previous)
