"""The options of a spawner that its server's life depends on, where that runs, and as what."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from asyncdockerspawner.hub import internal_tls, records
from asyncdockerspawner.images.pulls import PullPolicy
from asyncdockerspawner.lifecycle import Leftovers, OnDrift, OrphanPolicy, Policy, Reconciler
from asyncdockerspawner.names import naming
from asyncdockerspawner.spawners.launch_inputs import is_overridden
from asyncdockerspawner.spawners.options.network import port_is_any, port_is_set, usual_port
from asyncdockerspawner.workloads.container.workload import ContainerWorkload, Steps
from asyncdockerspawner.workloads.furnishing import OF_THE_IMAGE

if TYPE_CHECKING:
    from asyncdockerspawner.engine.engine import Engine
    from asyncdockerspawner.engine.start_slots import StartSlots
    from asyncdockerspawner.engine.watch import Watch
    from asyncdockerspawner.spawners.overrides import Overridable
    from asyncdockerspawner.workloads.protocol import Workload


def policy_of(spawner: Overridable) -> Policy:
    """Take the options as they are now."""
    return Policy(
        internal_ssl=bool(spawner.internal_ssl),
        tls=partial(internal_tls.client_context, getattr(spawner.user, "settings", None) or {}),
        image=spawner.image,
        pull_policy=PullPolicy(spawner.pull_policy),
        registry_auth=spawner.registry_auth,
        remove=bool(spawner.remove),
        start_timeout=spawner.start_timeout,
        http_timeout=spawner.http_timeout,
        queue_timeout=spawner.queue_timeout,
        stop_timeout=spawner.stop_timeout,
        concurrent_starts=spawner.concurrent_starts,
        start_hold=spawner.start_hold,
        on_drift=OnDrift(spawner.on_drift),
        keep_failed=spawner.keep_failed,
        failure_log_lines=spawner.failure_log_lines,
        post_start_cmd=spawner.post_start_cmd,
        post_start_required=spawner.post_start_required,
        ip=spawner.ip,
        port=usual_port(spawner),
        port_to_choose=not port_is_set(spawner),
        any_port=port_is_any(spawner),
        extra_host_config=spawner.extra_host_config,
        delete_volumes_on_user_delete=spawner.delete_volumes_on_user_delete,
        labels_volumes=partial(labels_volumes, spawner),
        named_by_image=partial(named_by_image, spawner),
        decides_late=partial(decides_late, spawner),
        own_start=partial(is_overridden, spawner, "start"),
        furnishing=spawner._furnishing,
        per_spawn=partial(getattr, spawner),
    )


def named_by_image(spawner: Overridable) -> bool:
    """Tell whether names of objects may differ by their image alone."""
    return is_overridden(spawner, "_object_name_default") or "imagename" in spawner.name_template


def decides_late(spawner: Overridable) -> bool:
    """Tell whether image, choice and Engine may become others in a `start` or what it calls."""
    return is_overridden(spawner, "start", "client", "pull_image")


def labels_volumes(spawner: Overridable) -> bool:
    """Tell whether a user's own volumes are made ahead of a container, with labels that say so.

    A site's own code is asked how others' volumes are called only where the site has asked for what needs it.
    """
    if spawner.delete_volumes_on_user_delete:
        return True
    owner = spawner.volume_owner
    return owner is not None and (owner != OF_THE_IMAGE or naming.names_alone(spawner))


class ContainerPlace:
    """Where a spawner's server runs as a container: a `lifecycle.server.Place`."""

    def __init__(self, spawner: Overridable) -> None:
        self._spawner = spawner

    @property
    def engine(self) -> Engine:
        """The spawner's Engine."""
        return self._spawner.engine

    def watch(self, engine: Engine) -> Watch:
        """Return the Engine's watch of this Hub; the first who asks has it compared with the database."""
        spawner, sandboxes = self._spawner, engine.sandboxes(self._spawner.hub_id)
        if not sandboxes.is_set_up:
            row = spawner.orm_spawner
            session = records.session_of(row) if records.is_in_database(row) else None
            sandboxes.set_up(spawner.sandboxes, partial(records.sandboxes_named, session))
        return compared(spawner, engine, engine.watch(spawner.hub_id), self.workload)

    def start_slots(self, engine: Engine) -> StartSlots:
        """Return the queue for the Engine's machine."""
        return engine.start_slots

    def workload(self, engine: Engine) -> ContainerWorkload:
        """Return a container."""
        spawner = self._spawner
        known = engine.watch(spawner.hub_id).known
        steps = Steps(spawner.log, known, spawner.image)
        return ContainerWorkload(engine.client, steps, engine.sandboxes(spawner.hub_id).end_with)


def compared(
    spawner: Overridable, engine: Engine, watch: Watch, workload: Callable[[Engine], Workload]
) -> Watch:
    """Return a watch whose objects are compared with the Hub's database; who asks first sees to that."""
    if watch.on_synced is None and records.is_in_database(spawner.orm_spawner):
        watch.on_synced = _reconciler(spawner, engine, watch, workload(engine)).begin
    return watch


def _reconciler(spawner: Overridable, engine: Engine, watch: Watch, workload: Workload) -> Reconciler:
    session = records.session_of(spawner.orm_spawner)
    return Reconciler(
        hub_id=spawner.hub_id,
        watch=watch,
        workload=workload,
        janitor=engine.janitor,
        claims=engine.claims,
        rows=partial(records.server_rows, session),
        naming=partial(records.rows_naming, session),
        orphan_policy=OrphanPolicy(spawner.orphan_policy),
        log=spawner.log,
        strike_off=partial(records.strike_off_of, session),
        leftovers=Leftovers(
            hub_id=spawner.hub_id,
            volumes=engine.client.volumes if spawner.delete_volumes_on_user_delete else None,
            users=partial(records.known_users, session),
            log=spawner.log,
        ),
    )
