"""Whether a server starts in a sandbox that was made ahead, and why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncdockerspawner.errors import NoEndpoint
from asyncdockerspawner.spawners.launch_inputs import is_overridden
from asyncdockerspawner.workloads.body import Body
from asyncdockerspawner.workloads.container import sandbox
from asyncdockerspawner.workloads.container.body import ContainerBody
from asyncdockerspawner.workloads.observed import Observed

if TYPE_CHECKING:
    from asyncdockerspawner.spawners.overrides import Overridable

STEPS = ("create_object", "start_object", "get_ip_and_port", "get_network_ip")
"""What a subclass may do in a way of its own that knows of no sandbox."""


def in_sandbox(spawner: Overridable, body: Body) -> Body:
    """Return the body of a server in a sandbox, or the one given where there is none for it."""
    server = spawner._managed
    server.record.sandbox = ""
    spawn = server.spawn
    if not spawner.sandboxes or spawn is None or not spawn.live or spawn.sandbox_lost:
        return body
    pool, shape = spawner.engine.sandboxes(spawner.hub_id), sandbox.shape_of(body.document)
    if (why := _why_not(spawner, body)) or shape is None:
        say(spawner, f"because of `{why}`")
        return body
    if not pool.fits(shape):
        say(spawner, "as they want another `port`, `host_ip` or `network_name` than the first one did")
        return body
    # A create that is tried again has it already.
    spawn.sandbox = spawn.sandbox or pool.take()
    if spawn.sandbox is None:
        return body
    server.record.sandbox = spawn.sandbox.id
    # The Hub's next commit writes it. Nobody else gets this one while the Hub lives, and what it comes to
    # create names it too.
    server.hub.save()
    return ContainerBody(sandbox.joined(body.document, spawn.sandbox.id))


def note_created(spawner: Overridable, container_id: str) -> str:
    """Take in what is in the sandbox that the spawn has taken, if it has; gives the id back."""
    spawn = spawner._managed.spawn
    if spawn is not None and spawn.sandbox is not None:
        spawn.sandbox.used_by(container_id)
    return container_id


async def network_holder(spawner: Overridable, observed: Observed) -> Observed:
    """Return the container whose network a server is in: its sandbox where it has one. Raises NoEndpoint."""
    if not observed.sandbox:
        return observed
    server = spawner._managed
    spawn, watch = server.spawn, server.watch
    if spawn is not None and spawn.sandbox is not None and spawn.sandbox.id == observed.sandbox:
        return spawn.sandbox.observed
    known = watch.known(observed.sandbox) if watch.live else None
    if known is None or not known.runs or not known.address_is_known:
        known = await server.workload.find(observed.sandbox)
    if known is None:
        raise NoEndpoint(
            "The Hub cannot reach the server: its network has ended.",
            advice=f"Its sandbox {observed.sandbox[:12]} is not at the Engine any more.",
        )
    return known


def _why_not(spawner: Overridable, body: Body) -> str:
    """Return the option or method for which this server starts in the usual way."""
    options = {
        "remove": not spawner.remove,
        "internal_ssl": spawner.internal_ssl,
        "use_internal_hostname": spawner.use_internal_hostname,
        "extra_networks": bool(spawner.extra_networks),
    }
    found = [name for name, hinders in options.items() if hinders]
    found += [name for name in STEPS if is_overridden(spawner, name)]
    return found[0] if found else sandbox.why_not(body.document)


def say(spawner: Overridable, why: str) -> None:
    """Log once why servers start in the usual way."""
    text = f"`sandboxes`: servers start in the usual way, without one, {why}."
    told = spawner.engine.told
    if text not in told:
        told.add(text)
        spawner.log.warning("%s", text)
