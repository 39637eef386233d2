"""What a container is given before its start: certificates, a line of /etc/passwd, owners of its volumes."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from asyncdockerspawner import errors
from asyncdockerspawner.client.client import Client
from asyncdockerspawner.client.tar import File, Folder
from asyncdockerspawner.client.translate import NO_ANSWER
from asyncdockerspawner.workloads.container import users
from asyncdockerspawner.workloads.container.inside import Inside, described
from asyncdockerspawner.workloads.container.owning import Owning
from asyncdockerspawner.workloads.container.users import UnknownUser
from asyncdockerspawner.workloads.furnishing import USERS_FILE, Furnished, Furnishing, Need, Refusal

KEY_VARIABLE = "JUPYTERHUB_SSL_KEYFILE"
"""In a server's environment: where it finds its key."""
PRIVATE = 0o400
"""A key is for its user alone."""


async def furnish(
    client: Client,
    ref: str,
    furnishing: Furnishing,
    volumes: Collection[str],
    remove: Callable[[str], object],
) -> Furnished:
    """Put in what the server is to find. Raises BadOption where it could not do without.

    `remove` is told ids of other containers that were made meanwhile and could not be removed.
    """
    document = await client.containers.inspect(ref)
    if document is None:
        raise errors.ObjectNotFound("inspect container", ref, "there is no such container")
    inside = Inside(client, described(document))
    refused: list[Refusal] = []
    if furnishing.certificates:
        await _put_certificates(inside, furnishing.certificates)
    if furnishing.passwd_entry:
        refused += await _add_to_passwd(inside, furnishing.passwd_entry)
    needs: dict[str, Need] = {}
    if furnishing.volume_owner is not None:
        for name in volumes:
            owning = Owning(client, inside, furnishing.volume_owner, name, remove)
            needs[name], refusal = await owning.see_to()
            refused += [refusal] if refusal else []
    return Furnished(volumes=needs, refused=refused)


async def _put_certificates(inside: Inside, certificates: Mapping[str, bytes]) -> None:
    if inside.known.environment.get(KEY_VARIABLE, "") not in {"", *certificates}:
        # Its server looks for them elsewhere: DockerSpawner, or a class of a site's own, has seen to them.
        return
    try:
        ids = await inside.runs_as()
        if ids.uid:
            await inside.check_that_ids_count()
        files = [
            File(path=path, content=content, uid=ids.uid, gid=ids.gid, mode=PRIVATE)
            for path, content in certificates.items()
        ]
        for folder in sorted({posixpath.dirname(path) for path in certificates}):
            within = [each for each in files if posixpath.dirname(each.path) == folder]
            await inside.put([Folder(path=folder), *within], into=folder)
    except NO_ANSWER:
        raise
    except (errors.EngineError, UnknownUser) as exc:
        more = " A kept container that was made without it has to be removed."
        raise errors.BadOption(
            "The server cannot be started: its certificates cannot be put into its container.",
            advice=f"`internal_ssl`: {_said(exc)}.{more if isinstance(exc, errors.ReadOnlyFiles) else ''}",
        ) from exc


async def _add_to_passwd(inside: Inside, line: str) -> list[Refusal]:
    try:
        found = await inside.file(USERS_FILE)
        kept = found or File(path=USERS_FILE, content=b"")
        text = users.with_entry(kept.content.decode("utf-8", "surrogateescape"), line)
        if text is not None:
            # Root's, whatever id root has on the Engine's machine: with userns-remap, that is what was read.
            changed = replace(kept, content=text.encode("utf-8", "surrogateescape"), uid=0, gid=0)
            # A folder that is there keeps its mode.
            made = [] if found else [Folder(path=posixpath.dirname(USERS_FILE))]
            await inside.put([*made, changed], into=posixpath.dirname(kept.path))
    except NO_ANSWER:
        raise
    except errors.EngineError as exc:
        told = "Programs in the server may not know its user's name."
        return [Refusal(told, f"`passwd_entry`: nothing was added to {USERS_FILE}: {_said(exc)}")]
    return []


def _said(exc: Exception) -> str:
    return exc.message if isinstance(exc, errors.EngineError) else str(exc)
