"""From options to the values of one launch that only a service has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from asyncdockerspawner import errors
from asyncdockerspawner.lifecycle import resolved
from asyncdockerspawner.spawners.launch_inputs import is_overridden, launch_inputs
from asyncdockerspawner.spawners.site_values import dictionary, rendered
from asyncdockerspawner.workloads.launch import LaunchInputs, SwarmInputs
from asyncdockerspawner.workloads.service.files import FilesWanted, FileWanted

if TYPE_CHECKING:
    from asyncdockerspawner.spawners.swarm import SwarmSpawner

TOO_LARGE = {"secrets": 500 * 1024, "configs": 1000 * 1024}
"""Option → bytes of a file that a swarm does not take any more. Source: moby/swarmkit, `api/validation`."""
_MOST = {"uid": 2**32 - 1, "gid": 2**32 - 1, "mode": 0o7777}


async def service_inputs(spawner: SwarmSpawner) -> LaunchInputs:
    """Take every value that decides what is created, but for the node and the files of the swarm."""
    inputs = replace(await launch_inputs(spawner), swarm=await swarm_inputs(spawner))
    # DockerSpawner's SwarmSpawner has a property there that gives the volumes: they are all that is mounted.
    return replace(inputs, binds={}) if is_overridden(spawner, "mounts") else inputs


async def swarm_inputs(spawner: SwarmSpawner) -> SwarmInputs:
    """Take the values that only a service has."""
    driver = await _volume_driver(spawner)
    return SwarmInputs(
        extra_container=await dictionary(spawner, "extra_container_spec"),
        extra_task=await dictionary(spawner, "extra_task_spec"),
        extra_resources=await dictionary(spawner, "extra_resources_spec"),
        extra_placement=await dictionary(spawner, "extra_placement_spec"),
        extra_endpoint=await dictionary(spawner, "extra_endpoint_spec"),
        networks=tuple(spawner.extra_networks),
        mem_guarantee=spawner.mem_guarantee,
        cpu_guarantee=spawner.cpu_guarantee,
        volume_driver=str(driver.get("Name") or ""),
        volume_driver_options=driver.get("Options") or {},
        stop_grace=spawner.stop_timeout,
    )


async def _volume_driver(spawner: SwarmSpawner) -> Mapping[str, Any]:
    """Return name and options of the driver of named volumes, as the Engine has them."""
    if is_overridden(spawner, "mount_driver_config"):
        return spawner.mount_driver_config or {}
    return {"Name": spawner.volume_driver, "Options": await dictionary(spawner, "volume_driver_options")}


async def files_wanted(spawner: SwarmSpawner) -> FilesWanted:
    """Return the secrets and configs for this spawn. Raises BadOption, which shows no content."""
    return FilesWanted(secrets=await _files(spawner, "secrets"), configs=await _files(spawner, "configs"))


async def _files(spawner: SwarmSpawner, option: str) -> list[FileWanted]:
    files = await _value(spawner, getattr(spawner, option), f"`{option}`")
    if not isinstance(files, Mapping):
        raise errors.BadOption(f"`{option}` has to give a dictionary, not {_kind(files)}.")
    found: dict[str, FileWanted] = {}
    for template, given in files.items():
        target = _target(spawner, str(template), option)
        found[target] = await _file(spawner, target, given, option)
    return list(found.values())


def _target(spawner: SwarmSpawner, template: str, option: str) -> str:
    """Return a name or path, rendered. Raises BadOption for one that a user's name has led elsewhere."""
    target = str(rendered(spawner, template, option))
    steps = target.removeprefix("/").split("/")
    if target.count("/") > template.count("/") or {"", ".", ".."} & set(steps) or "\0" in target:
        raise errors.BadOption(
            f"`{option}`: {template!r} became {target!r}, but it must be a name or an absolute path."
        )
    return target


async def _file(spawner: SwarmSpawner, target: str, given: Any, option: str) -> FileWanted:
    where = f"`{option}`[{target!r}]"
    attributes = given if isinstance(given, Mapping) else {"content": given}
    if unknown := [word for word in attributes if word not in {"content", *_MOST}]:
        raise errors.BadOption(f"{where} has {unknown[0]!r}; it has content, uid, gid and mode.")
    content = await _value(spawner, attributes.get("content"), where)
    if not isinstance(content, str | bytes):
        raise errors.BadOption(f"{where} has to be a text or bytes, not {_kind(content)}.")
    data = content.encode() if isinstance(content, str) else content
    if not 0 < len(data) < TOO_LARGE[option]:
        most = TOO_LARGE[option] - 1
        raise errors.BadOption(f"{where} has {len(data)} bytes; a swarm takes from 1 to {most}.")
    numbers = {word: _number(attributes[word], word, where) for word in _MOST if word in attributes}
    return FileWanted(target=target, data=data, **numbers)


def _number(value: Any, word: str, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST[word]:
        raise errors.BadOption(f"{where}: {word} is {value!r}, but it must be a number, such as 0o400.")
    return value


async def _value(spawner: SwarmSpawner, given: Any, where: str) -> Any:
    """Return what a function gives, and anything else as it is."""
    try:
        return await resolved(spawner._eval_if_callable(given))
    except Exception as exc:  # noqa: BLE001 - it is a site's
        # Not the exception's text: it may hold what the function was about to give.
        told = f"{where}: the configured function failed with {type(exc).__name__}."
        raise errors.BadOption(told) from None


def _kind(value: Any) -> str:
    return f"a value of the type {type(value).__name__}"
