"""Fill `{username}` and its like into strings of the configuration.

One pass, and only whole values: what a user is called is text, never a template, and a template reaches
nothing but the texts of its namespace.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from asyncdockerspawner.errors import BadTemplate

Namespace: TypeAlias = Mapping[str, str]

_FIELD = re.compile(r"(?P<name>[^.\[]*)(?P<access>.*)", re.DOTALL)
_CHARACTER = re.compile(r"\[(?P<index>[0-9]+)\]")
_OF_THE_ENGINE = re.compile(
    r"""(?<!\{) (
        \{\{-?\s*
        (?: (?: (?:json|upper|lower|title|len|println|split|join|index|if|with|range) \s+ )?
            \.(?:[A-Z][^{}]*)?
          | else | end )
        \s*-?\}\}
    ) (?!\})""",
    re.VERBOSE,
)
"""`{{.Name}}` and its like, which the Engine fills in itself: a log's tag, a service's mounts."""


class _Unusable(Exception):
    """The template asks for something that no namespace can give."""


class _Filler(string.Formatter):
    """`str.format` without positions and without a way into the values."""

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[str, str]:
        match = _FIELD.fullmatch(field_name)
        # The pattern matches every text; the check is for the reader and the type checker.
        name, access = match.group("name", "access") if match else (field_name, "")
        if not name or name.isdecimal():
            raise _Unusable("fields need a name: write {{ and }} for braces that are meant as text")
        value: str = kwargs[name]
        return (self._character(value, name, access) if access else value), name

    @staticmethod
    def _character(value: str, name: str, access: str) -> str:
        # Home directories are often spread by first letter: /home/{username[0]}/{username}.
        match = _CHARACTER.fullmatch(access)
        if match is None:
            raise _Unusable(f"{{{name}}} is plain text: {access!r} cannot be looked up in it")
        try:
            return value[int(match["index"])]
        except IndexError:
            raise _Unusable(f"{{{name}}} is shorter than {access} asks for") from None


_FILLER = _Filler()


def render(value: Any, namespace: Namespace, *, option: str = "") -> Any:
    """Fill templates wherever `value` holds strings: in lists, tuples, and keys and values of mappings.

    A string that names an unknown field or holds a lone brace is likely no template of ours (JSON, a
    shell snippet), so it stays as it is. Fields without a name and look-ups inside values are mistakes:
    `BadTemplate`, naming `option`. The Engine's own templates (`{{.Name}}`) arrive as they are written.
    """
    if isinstance(value, str):
        return _render_text(value, namespace, option)
    if isinstance(value, Mapping):
        return {
            render(key, namespace, option=option): render(item, namespace, option=option)
            for key, item in value.items()
        }
    # A tuple stays one: (address, port) and [address, port] differ in docker-py's port_bindings.
    if isinstance(value, tuple):
        return tuple(render(item, namespace, option=option) for item in value)
    if isinstance(value, list):
        return [render(item, namespace, option=option) for item in value]
    return value


def render_strict(template: str, namespace: Namespace, *, option: str) -> str:
    """Fill one template in which everything must be known, such as a volume's name."""
    try:
        return _filled(template, namespace)
    except KeyError as exc:
        raise _bad(option, template, f"there is no {{{exc.args[0]}}}", namespace) from exc
    except (ValueError, _Unusable) as exc:
        raise _bad(option, template, str(exc), namespace) from exc


def _render_text(template: str, namespace: Namespace, option: str) -> str:
    try:
        return _filled(template, namespace)
    except (KeyError, ValueError):
        return template
    except _Unusable as exc:
        raise _bad(option, template, str(exc), namespace) from exc


def _filled(template: str, namespace: Namespace) -> str:
    parts = _OF_THE_ENGINE.split(template)
    return "".join(
        part if number % 2 else _FILLER.vformat(part, (), namespace) for number, part in enumerate(parts)
    )


def _bad(option: str, template: str, reason: str, namespace: Namespace) -> BadTemplate:
    fields = ", ".join(f"{{{name}}}" for name in sorted(namespace))
    where = f"{option}: " if option else ""
    return BadTemplate(f"{where}the template {template!r} cannot be used: {reason}. Available: {fields}.")
