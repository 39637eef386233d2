"""Where a user's home is: paths made from the user's name, which must not lead anywhere else."""

from __future__ import annotations

from asyncdockerspawner.errors import BadTemplate, SpawnRefused

_CURE = "Rename the user, set `{option}` to a path without the name, or give a home by `host_home`."


def home_by(template: str, username: str, option: str) -> str:
    """Fill `{username}`, the name as it is, into a template, as `str.format` does.

    Raises BadTemplate for a template that cannot be filled, and SpawnRefused for a name that would lead out
    of the homes.
    """
    if "{" in template and (username in {"", ".", ".."} or "/" in username or "\0" in username):
        raise _refused(f"The name {username!r} cannot be that of a home's folder.", option)
    try:
        path = template.format(username=username)
    except (LookupError, ValueError, AttributeError) as exc:
        raise BadTemplate(
            f"{option}: {template!r} cannot be filled: {exc!r}. It is a format string of Python's, and "
            "{username} is all that it may name."
        ) from exc
    if _upwards(path) > _upwards(template):
        raise _refused(f"The name {username!r} leads out of the homes: {path!r}.", option)
    return path


def checked(path: str, option: str) -> str:
    """Return a home's path. Raises SpawnRefused for one that is none."""
    if not path.startswith("/") or "\0" in path or not path.strip("/.") or _upwards(path):
        raise SpawnRefused(
            "The user has no home that could be given to the server.",
            advice=f"{option} gives {path!r}, but it must be an absolute path, not / itself, and must not "
            "lead upwards.",
        )
    return path


def _upwards(path: str) -> int:
    return path.split("/").count("..")


def _refused(message: str, option: str) -> SpawnRefused:
    return SpawnRefused(message, advice=_CURE.format(option=option))
