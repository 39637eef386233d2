"""From user and server names to names that the Engine and DNS accept."""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import escapism

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.names.templating import Namespace, render_strict

EscapeScheme: TypeAlias = Callable[[str], str]

_DNS_SAFE = set(string.ascii_lowercase + string.digits)
_LEGACY_SAFE = set(string.ascii_letters + string.digits + "-")


class HasNamespace(Protocol):
    """What the volume naming strategies need of a spawner."""

    def template_namespace(self) -> Namespace:
        """Return the fields that templates may use."""
        ...


def escape_dns(text: str) -> str:
    """Escape to `[a-z0-9-]`, where `--` never appears: it is free to part user from server."""
    return str(escapism.escape(text, safe=_DNS_SAFE, escape_char="-")).lower()


def escape_legacy(text: str) -> str:
    """Escape as DockerSpawner before 12 did; user `a--b` and server `b` of user `a` look alike."""
    return str(escapism.escape(text, safe=_LEGACY_SAFE, escape_char="_"))


def scheme(value: object, legacy: EscapeScheme = escape_legacy) -> EscapeScheme:
    """Read the `escape` option: a callable, or the word for the old scheme."""
    if callable(value):
        return _checked(value)
    if value == "legacy":
        return legacy
    raise BadOption(
        f"escape is {value!r}, but it must be a callable that takes and gives a string, or 'legacy'."
    )


def namespace(
    *, username: str, servername: str, image: str, prefix: str, escape: EscapeScheme
) -> dict[str, str]:
    """Return every field that a template may name.

    The server's name is lowered first, as it always was: servers of one user that differ only by case
    share their names.
    """
    safe_username = escape(username)
    return {
        "username": safe_username,
        "safe_username": safe_username,
        "raw_username": username,
        "servername": escape(servername.lower()),
        "raw_servername": servername,
        "imagename": image.replace("/", "-").replace(":", "-"),
        "prefix": prefix,
    }


class HasNames(Protocol):
    """What names are made from, beside user and server."""

    image: str
    prefix: str
    escape: EscapeScheme


def namespace_of(spawner: HasNames, username: str, servername: str) -> dict[str, str]:
    """Return the fields of a spawner, as this user's or that server's would be."""
    return namespace(
        username=username,
        servername=servername,
        image=spawner.image,
        prefix=spawner.prefix,
        escape=spawner.escape,
    )


def default_name_template(servername: str) -> str:
    """Return the name template that holds unless the site sets one."""
    if servername:
        return "{prefix}-{username}--{servername}"
    return "{prefix}-{username}"


def default_format_volume_name(template: str, spawner: HasNamespace) -> str:
    """Name a volume, or a path of one, from its template."""
    return render_strict(template, spawner.template_namespace(), option="volumes")


def escaped_format_volume_name(template: str, spawner: HasNamespace) -> str:
    """Name a volume with `{username}` escaped, whatever a subclass's namespace says of it."""
    fields = dict(spawner.template_namespace())
    fields["username"] = fields.get("safe_username", fields.get("username", ""))
    return render_strict(template, fields, option="volumes")


def names_alone(spawner: Any) -> bool:
    """Tell whether volumes are named by this module alone, without functions of the site's."""
    ways, schemes = (default_format_volume_name, escaped_format_volume_name), (escape_dns, escape_legacy)
    return spawner.format_volume_name in ways and spawner.escape in schemes


def _checked(site_escape: Callable[..., object]) -> EscapeScheme:
    def escape(text: str) -> str:
        escaped = site_escape(text)
        if not isinstance(escaped, str):
            raise BadOption(
                f"escape must give a string, but for {text!r} it gave {escaped!r}; "
                "it may not be a coroutine function."
            )
        return escaped

    return escape
