"""What the volumes of a server are called, now and after it has been renamed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from asyncdockerspawner import errors
from asyncdockerspawner.hub import site_code
from asyncdockerspawner.hub.base import username
from asyncdockerspawner.keywords.binds import is_volume
from asyncdockerspawner.names import volume_owners
from asyncdockerspawner.names.naming import namespace_of

if TYPE_CHECKING:
    from asyncdockerspawner.spawners.overrides import Overridable


def volume_name(spawner: Overridable, template: str) -> str:
    """Return the name, or path of the host, that a template means for this server."""
    return _rendered_for(spawner, template, spawner)


def scopes(spawner: Overridable) -> dict[str, volume_owners.Scope]:
    """Return volume name → whether it is this user's (`user`) or this server's (`server`) alone."""
    named = [each for each in source_templates(spawner, "volume") if is_volume(each)]

    def render(template: str, whose: Any) -> str:
        return _rendered_for(spawner, template, whose)

    return volume_owners.scopes(named, spawner, render)


def source_templates(spawner: Overridable, *types: str) -> list[str]:
    """Return the templates of what is mounted; of `mounts` those of these types."""
    # In docker-py's words, or the Engine's own.
    mounted = [{str(word).lower(): value for word, value in each.items()} for each in spawner.mounts]
    wanted = [each for each in mounted if each.get("source") and each.get("type", "volume") in types]
    return [*spawner.volumes, *spawner.read_only_volumes, *(str(each["source"]) for each in wanted)]


async def keep_names(spawner: Overridable, new_name: str) -> None:
    """Have the volumes keep their names though the server gets another one. Raises RenameRefused."""
    record = spawner._user_server.record
    try:
        await spawner._spawn_values.resolve("volumes", "read_only_volumes", "mounts")
        record.volume_names = {**record.volume_names, **_names_to_keep(spawner, new_name)}
    except errors.AsyncDockerSpawnerError as exc:
        raise errors.RenameRefused(
            "The server cannot have another name: which volumes it has cannot be told.",
            advice=str(exc),
        ) from exc
    finally:
        spawner._spawn_values.forget()


def _names_to_keep(spawner: Overridable, new_name: str) -> dict[str, str]:
    """Return, by template, the names that would become others with the server's."""
    then = volume_owners.StandIn(spawner, servername=new_name)

    def stays(template: str, name: str) -> bool:
        try:
            return _rendered_for(spawner, template, then) == name
        except Exception:  # noqa: BLE001
            # A site's function may expect a whole spawner.
            return False

    names = {each: volume_name(spawner, each) for each in source_templates(spawner, "volume", "bind")}
    return {each: name for each, name in names.items() if not stays(each, name)}


def _rendered_for(spawner: Overridable, template: str, whose: Any) -> str:
    record = spawner._user_server.record
    if whose is spawner and template in record.volume_names:
        return str(record.volume_names[template])
    with site_code.of_option(f"format_volume_name({template!r})"):
        name = str(spawner.format_volume_name(template, whose))
    if whose is not spawner:
        return name
    # A function, or a hook, may have written the server's present name where no template shows it.
    return volume_owners.as_before(name, _renamings(spawner), record.mounted)


def _renamings(spawner: Overridable) -> Iterator[tuple[str, str]]:
    """Yield the server's present and former names, as they are and escaped."""
    for former in spawner._user_server.record.former_names:
        yield spawner.name, former
        now, before = (
            namespace_of(spawner, username(spawner), name)["servername"] for name in (spawner.name, former)
        )
        yield now, before
