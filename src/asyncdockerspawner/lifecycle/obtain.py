"""Where a start gets its object from: one that was kept and still fits, else a new one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from asyncdockerspawner import errors
from asyncdockerspawner.images.pulls import PullPolicy
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.lifecycle import ownership, start_slot
from asyncdockerspawner.lifecycle.policy import OnDrift
from asyncdockerspawner.lifecycle.server import Server
from asyncdockerspawner.lifecycle.spawn import Spawn
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.body import Body, differences
from asyncdockerspawner.workloads.observed import Observed
from asyncdockerspawner.workloads.protocol import Workload

LOST_SECONDS = 0.5
"""Before a create whose answer was lost is asked for again, should nothing have come of it."""
REMOVAL_TRIES = 50
REMOVAL_SECONDS = 0.1
"""How often, and how long apart, a create is tried while the Engine removes an old object of the name."""

KEPT_IDS = 20
"""So many other containers of a server are remembered."""


async def kept(server: Server) -> Observed | None:
    """Return the object that the saved state names, if this spawn is about it; else forget it.

    One of another name, as for another image, stays what and where it is.
    """
    if not server.record.object_id:
        return None
    try:
        observed = await ownership.own_object(server)
    except errors.KeptForAnother as exc:
        # Both rows name it, and it speaks of the other one.
        server.log.warning("%s makes a new container: %s", server.owner.username, exc)
        observed = None
    if observed is None or not _is_meant(server, observed):
        _forget(server)
        return None
    return observed


async def obtain(server: Server, spawn: Spawn, kept: Observed | None) -> None:
    """Take the object that was kept, or find it by its name, or create it."""
    if kept is not None:
        if not await _cleared(server, kept):
            return _resume(server, spawn, kept)
        _forget(server)
    try:
        await _create(server, spawn)
    except errors.NameConflict as conflict:
        observed = await _found_by_name(server)
        if observed is not None and not await _cleared(server, observed):
            _resume(server, spawn, observed)
            # From now on it is known by its id, also to a Hub that is killed before the start is done.
            return server.hub.save(commit=True)
        server.log.info("The name %s was taken (%s) and is free again", server.object_name, conflict.message)
        await _create_when_free(server, spawn)
    return None


async def create(
    workload: Workload, name: str, body: JsonObject, owner: labels.Owner, spawn: Spawn | None
) -> str:
    """Create the object so that a cancelled spawn still learns its id and can remove it."""
    task = asyncio.create_task(_surely_created(workload, name, body, owner, spawn))
    if spawn is not None:
        spawn.creating = task
    made = await asyncio.shield(task)
    if spawn is not None:
        spawn.made = made
    return made


async def _surely_created(
    workload: Workload, name: str, body: JsonObject, owner: labels.Owner, spawn: Spawn | None
) -> str:
    """Create; where the answer is lost, find out what came of it."""
    try:
        return await workload.create(name, body)
    except (errors.EngineLost, errors.EngineTimeout) as exc:
        if spawn is not None:
            spawn.create_lost = True
        if found := await ownership.created_by(workload, name, owner):
            return found
        if isinstance(exc, errors.EngineTimeout):
            # The Engine may create it any moment; a second request would get in its way.
            raise
    await asyncio.sleep(LOST_SECONDS)
    try:
        return await workload.create(name, body)
    except errors.NameConflict:
        if found := await ownership.created_by(workload, name, owner):
            return found
        raise


async def _create(server: Server, spawn: Spawn) -> None:
    server.hub.report("Creating the server", progress=40)
    server.shared_port, server.record.sandbox = None, ""
    try:
        made = await server.after(server.overrides.create())
    except errors.ImageNotFound:
        # The usual spawn does not ask whether the image is there; the Engine has now said that it is not.
        server.engine.pulls.forget(server.policy.image)
        if server.policy.pull_policy is PullPolicy.SKIP:
            raise errors.ImageUnavailable(
                f"The image {server.policy.image} is not on the Engine's machine, and is not pulled.",
                advice="`pull_policy` is 'skip': pull it there, or choose 'ifnotpresent'.",
            ) from None
        # Who waits for a pull keeps nobody from starting.
        spawn.release_slot()
        await server.after(server.overrides.pull(server.policy.image))
        await start_slot.acquire(server, spawn)
        made = await server.after(server.overrides.create())
    server.record.object_id = spawn.made = made
    server.record.removal = server.policy.remove
    await _connect(server)


async def _connect(server: Server) -> None:
    """Put a new object into its other networks before its start, so that the server finds all of them."""
    for network in server.policy.extra_networks:
        await server.workload.container.connect(server.record.object_id, network)


async def _create_when_free(server: Server, spawn: Spawn) -> None:
    """Create, however long the Engine takes to remove what has the name; `start_timeout` bounds it."""
    for _ in range(REMOVAL_TRIES):
        try:
            return await _create(server, spawn)
        except errors.NameConflict as conflict:
            holder = await server.workload.find(conflict.holder or server.object_name)
            if holder is not None and not holder.is_being_removed:
                raise
        await asyncio.sleep(REMOVAL_SECONDS)
    return await _create(server, spawn)


async def _found_by_name(server: Server) -> Observed | None:
    """Return the object of the server's name. One that is kept for another server goes out of the way."""
    try:
        return await ownership.own_object(server)
    except errors.KeptForAnother as exc:
        observed = exc.observed
        free = server.engine.claims.unclaimed([observed], but_by=server)
        # A service is never given another name.
        if observed.runs or observed.starts_itself or not free:
            raise
        name = await _set_aside(server, observed)
        server.log.warning("%s It does not run and is now called %s.", exc.advice, name)
        return None


def _resume(server: Server, spawn: Spawn, observed: Observed) -> None:
    spawn.resumed = True
    spawn.made_from = observed.config_hash or ""
    server.log.info(
        "Found %s (id %s, image %s), which is started again",
        server.object_name,
        observed.id[:12],
        observed.image,
    )
    ownership.adopt(server, observed)
    for key, value in (observed.environment or {}).items():
        if key in {"JPY_API_TOKEN", "JUPYTERHUB_API_TOKEN"} and value:
            # The server inside goes on with the token it was created with.
            server.hub.use_token(value)
            break


async def _cleared(server: Server, observed: Observed) -> bool:
    """Clear an old object away where the server is to be made anew; False where it is to be resumed."""
    if observed.is_being_removed:
        return True
    to_keep = observed.removal is False
    # A sandbox is for one life: what has ended in one never starts again.
    is_over = observed.id == server.record.failed_id or (bool(observed.sandbox) and not observed.runs)
    if is_over or (server.policy.remove and not to_keep):
        server.log.warning("Removing %s, which an earlier server left behind", server.object_name)
        await server.workload.remove(observed.id, force=True)
        server.record.failed_id = ""
        return True
    if server.policy.remove:
        # It may be all that its user has, whatever the site, or one start, has set since.
        await server.workload.stop(observed.id)
        await _put_away(server, observed, "to be kept")
        return True
    body = await _of_an_account(server, observed)
    other = body.other_account(observed) if body is not None else ""
    if made := await _made_otherwise(server, observed) or (other and f"to run as {other}"):
        await server.workload.stop(observed.id)
        name = await _put_away(server, observed, made)
        files = (
            f" Files outside of its volumes are in {name}: ask the administrator for them." if name else ""
        )
        server.hub.report(f"The former server was made {made}, so a new one is made.{files}")
        return True
    return not observed.runs and await _drifted_away(server, observed, body)


async def _of_an_account(server: Server, observed: Observed) -> Body | None:
    """Return what the server would be made from, where what was made for another account is not resumed."""
    if not server.policy.is_of_an_account:
        return None
    server.shared_port = observed.shared_port
    return await server.after(server.overrides.body())


async def _made_otherwise(server: Server, observed: Observed) -> str:
    """Return how an object was made that cannot be this server: for a former name, or without its TLS."""
    former = ownership.made_for_another(observed, server.identity.environment)
    had_tls = _has_tls(observed.environment)
    of_other_tls = had_tls is not None and had_tls is not server.policy.internal_ssl
    if not former and not of_other_tls:
        return ""
    environment = server.identity.environment
    try:
        # A site's own environment may say something else of these, and would say so again.
        body = await server.after(server.overrides.body())
        environment = {**environment, **body.environment}
        of_other_tls = of_other_tls and had_tls is not _has_tls(environment)
        former = ownership.made_for_another(observed, environment)
    except errors.AsyncDockerSpawnerError as exc:
        server.log.debug("Cannot tell what %s would be made from: %s", server.object_name, exc)
    if former or not of_other_tls:
        return f"for {former}" if former else ""
    return f"{'without' if server.policy.internal_ssl else 'with'} `internal_ssl`"


def _has_tls(environment: Mapping[str, str] | None) -> bool | None:
    """Tell whether a server of this environment speaks TLS; None where the environment is not known."""
    return None if environment is None else "JUPYTERHUB_SSL_KEYFILE" in environment


async def _drifted_away(server: Server, observed: Observed, body: Body | None) -> bool:
    """Log in what a kept object differs from the configuration; clear it away if it may not be resumed."""
    parts = await _differences(server, observed, body) if server.policy.on_drift is not OnDrift.REUSE else []
    if not parts:
        return False
    told = ", ".join(parts)
    if server.policy.on_drift is not OnDrift.RECREATE:
        server.log.warning(
            "%s was made with other settings (%s) and is started as it was made; `on_drift` can change that",
            server.object_name,
            told,
        )
        return False
    await _put_away(server, observed, f"with other settings ({told})")
    return True


async def _differences(server: Server, observed: Observed, body: Body | None) -> list[str]:
    made_from = observed.config_hash
    if made_from is None:
        return []
    server.shared_port = observed.shared_port
    try:
        if body is None:
            body = await server.after(server.overrides.body())
    except errors.AsyncDockerSpawnerError as exc:
        server.log.warning("Cannot tell whether %s fits the configuration: %s", server.object_name, exc)
        return []
    return differences(made_from, body.fingerprint)


async def _put_away(server: Server, observed: Observed, made: str) -> str:
    """Remove an old object, unless it may hold files of its user: then it keeps them under the name given."""
    files = await server.workload.container.user_files(observed)
    if files is not None and not files:
        server.log.warning("Replacing %s, which was made %s", observed.name, made)
        await server.workload.remove(observed.id, force=False)
        return ""
    name = await _set_aside(server, observed)
    server.log.warning(
        "%s was made %s; it has files of its user and is kept as %s", observed.name, made, name
    )
    return name


async def _set_aside(server: Server, observed: Observed) -> str:
    """Rename an object that stays, so that its name is free."""
    name = labels.name_aside(observed.name, observed.id)
    if name != observed.name:
        await server.workload.container.rename(observed.id, name)
    return name


def _is_meant(server: Server, observed: Observed) -> bool:
    meant = server.means(observed.name, observed.image)
    if not meant:
        server.log.info("%s stays: this spawn is not about it", observed.name)
        others = [each for each in server.record.kept_ids if each != observed.id]
        server.record.kept_ids = [*others[1 - KEPT_IDS :], observed.id]
    return meant


def _forget(server: Server) -> None:
    """Take the name of a new object; on disk before anything is created under it."""
    server.record.object_id = ""
    before = server.object_name
    server.name_object()
    if before != server.object_name:
        server.hub.save(commit=True)
