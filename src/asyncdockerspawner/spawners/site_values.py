"""What a site has configured as a function or with templates, as values of this spawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from asyncdockerspawner import errors
from asyncdockerspawner.hub import site_code
from asyncdockerspawner.lifecycle import resolved

if TYPE_CHECKING:
    from asyncdockerspawner.spawners.overrides import Overridable


def rendered(spawner: Overridable, value: Any, option: str) -> Any:
    """Fill the templates of an option. Raises BadTemplate, which names it."""
    try:
        return spawner._render_templates(value)
    except errors.BadTemplate as exc:
        raise errors.BadTemplate(f"{option}: {exc}") from exc


async def dictionary(spawner: Overridable, option: str) -> Mapping[str, Any]:
    """Return the dictionary that an option is, or that its function gives, with its templates filled."""
    value = getattr(spawner, option)
    if callable(value):
        with site_code.of_option(option):
            value = await resolved(spawner._eval_if_callable(value))
    if not isinstance(value, Mapping):
        raise errors.BadOption(f"`{option}` has to give a dictionary, not {value!r}.")
    filled: Mapping[str, Any] = rendered(spawner, value, option)
    return filled
