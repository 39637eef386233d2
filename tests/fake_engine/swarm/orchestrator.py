"""Services come to tasks: as many as they shall have, anew where a restart policy says so."""

from __future__ import annotations

import asyncio

from tests.fake_engine.shapes import Json
from tests.fake_engine.state import now
from tests.fake_engine.swarm import agent, allocator, scheduler
from tests.fake_engine.swarm.state import Node, Service, Swarm, Task, rank

DEFAULT_DELAY = 5 * 10**9
DEFAULT_MONITOR = 5 * 10**9
"""Nanoseconds in which a task that an update has made may fail."""
HISTORY = 5
"""Tasks of a slot that are kept, the present one included."""


def create(swarm: Swarm, spec: Json, auth: str) -> Service:
    """Put a service into the books, and begin its tasks."""
    service = Service(spec=spec, auth=auth)
    swarm.services[service.id] = service
    swarm.touch(service)
    swarm.event("service", service, service.name, "create")
    allocator.give_endpoint(swarm, service)
    for slot in range(1, service.replicas + 1):
        begin(swarm, service, slot)
    return service


def begin(swarm: Swarm, service: Service, slot: int, pause: float = 0) -> Task:
    """Make a task, and let it live."""
    task = Task(
        service=service,
        labels=service.labels,
        slot=slot,
        spec=service.spec["TaskTemplate"],
        desired="ready" if pause else "running",
        pause=pause,
    )
    swarm.tasks[task.id] = task
    swarm.touch(task)
    task.life = swarm.engine.background(asyncio.ensure_future(_live(swarm, task)))
    return task


async def _live(swarm: Swarm, task: Task) -> None:
    await agent.step(swarm, task, "new", "created")
    while not allocator.attach(swarm, task):
        await swarm.change()
    await agent.step(swarm, task, "pending", "pending task scheduling")
    while isinstance(found := scheduler.place(swarm, task), str):
        if task.error != found:
            agent.enter(swarm, task, "pending", "pending task scheduling", found)
        await swarm.change()
    task.node = found
    await agent.step(swarm, task, "assigned", "scheduler assigned task to node")
    try:
        await agent.run(swarm, task, found)
    except agent.Failed as failed:
        agent.enter(swarm, task, failed.state, task.message, failed.error)
    allocator.detach(swarm, task)
    _replace(swarm, task)


def want(swarm: Swarm, task: Task, desired: str) -> None:
    """Let a task end, or end and be forgotten."""
    if rank(desired) <= rank(task.desired):
        return
    task.desired = desired
    swarm.touch(task)
    if task.life is not None and task.life is not asyncio.current_task():
        task.life.cancel()
    task.life = agent.end(swarm, task)


def _replace(swarm: Swarm, task: Task, *, at_once: bool = False) -> None:
    """A task has ended, or is lost: another takes its place, if its service's policy says so."""
    task.desired = "shutdown"
    swarm.touch(task)
    service = task.service
    if service.id not in swarm.services or task.slot > service.replicas or not _again(task):
        return
    service.attempts[task.slot] = service.attempts.get(task.slot, 0) + 1
    policy = service.spec["TaskTemplate"].get("RestartPolicy") or {}
    pause = 0.0 if at_once else policy.get("Delay", DEFAULT_DELAY) / 10**9
    begin(swarm, service, task.slot, pause)
    _forget_oldest(swarm, task)


def _again(task: Task) -> bool:
    policy = task.service.spec["TaskTemplate"].get("RestartPolicy") or {}
    condition, most = policy.get("Condition") or "any", policy.get("MaxAttempts") or 0
    if most and task.service.attempts.get(task.slot, 0) >= most:
        return False
    return condition == "any" or (condition == "on-failure" and task.state != "complete")


def _forget_oldest(swarm: Swarm, task: Task) -> None:
    past = [each for each in swarm.tasks_of(task.service) if each.slot == task.slot]
    for each in past[:-HISTORY]:
        if each.ended:
            want(swarm, each, "remove")


def update(swarm: Swarm, service: Service, spec: Json, auth: str | None) -> None:
    """Give a service another spec; its tasks are replaced where theirs has changed."""
    before, service.previous, service.spec = service.spec, service.spec, spec
    service.auth = service.auth if auth is None else auth
    changed = before["TaskTemplate"] != spec["TaskTemplate"]
    replicas = [each["Mode"]["Replicated"]["Replicas"] for each in (before, spec)]
    told = {"replicas.old": str(replicas[0]), "replicas.new": str(replicas[1])}
    swarm.touch(service)
    swarm.event("service", service, service.name, "update", **(told if replicas[0] != replicas[1] else {}))
    slots = {each.slot for each in swarm.tasks_of(service)}
    for task in swarm.tasks_of(service):
        if task.slot > service.replicas and agent.is_live(task):
            want(swarm, task, "remove")
    for slot in range(1, service.replicas + 1):
        if slot not in slots:
            begin(swarm, service, slot)
    if changed:
        service.update_status = {"State": "updating", "StartedAt": now(), "Message": "update in progress"}
        swarm.touch(service)
        swarm.event("service", service, service.name, "update", **{"updatestate.new": "updating"})
        swarm.engine.background(asyncio.ensure_future(_roll(swarm, service, spec)))


async def _roll(swarm: Swarm, service: Service, spec: Json) -> None:
    """Replace the tasks one after the other: each is ended before the next begins."""
    for task in _replaceable(swarm, service):
        if task.spec == spec["TaskTemplate"] or task.slot > service.replicas:
            continue
        if rank(task.desired) <= rank("running"):
            want(swarm, task, "shutdown")
        while not task.ended and not (task.node is None or task.node.state == "down"):
            await swarm.change()
        if service.spec is not spec or service.id not in swarm.services:
            return
        fresh = begin(swarm, service, task.slot)
        while rank(fresh.state) < rank("running"):
            await swarm.change()
    monitor = (spec.get("UpdateConfig") or {}).get("Monitor") or DEFAULT_MONITOR
    await asyncio.sleep(monitor / 10**9)
    if service.spec is not spec or service.id not in swarm.services:
        return
    started = (service.update_status or {}).get("StartedAt")
    service.update_status = {
        "State": "completed", "StartedAt": started, "CompletedAt": now(), "Message": "update completed",
    }  # fmt: skip
    swarm.touch(service)
    told = {"updatestate.old": "updating", "updatestate.new": "completed"}
    swarm.event("service", service, service.name, "update", **told)


def _replaceable(swarm: Swarm, service: Service) -> list[Task]:
    """Return the tasks that are to live, and the last of a slot in which none is, but nothing is to follow.

    Source: swarmkit, `manager/orchestrator/restart`, UpdatableTasksInSlot.
    """
    tasks = swarm.tasks_of(service)
    living = [each for each in tasks if rank(each.desired) <= rank("running")]
    lived_on = {each.slot for each in living}
    last = {each.slot: each for each in tasks if each.slot not in lived_on}
    ended = [
        each for each in last.values() if (each.spec.get("RestartPolicy") or {}).get("Condition") == "none"
    ]
    return [*living, *ended]


def remove(swarm: Swarm, service: Service) -> None:
    """Take a service out of the books; its tasks end afterwards."""
    del swarm.services[service.id]
    for task in swarm.tasks_of(service):
        want(swarm, task, "remove")
    allocator.take_endpoint(swarm, service)
    swarm.event("service", service, service.name, "remove")


def leave_node(swarm: Swarm, node: Node, *, lost: bool) -> None:
    """A node is drained, or lost: what ran there ends, and may begin elsewhere."""
    for task in swarm.on(node):
        if rank(task.desired) > rank("running"):
            continue
        want(swarm, task, "shutdown")
        _replace(swarm, task, at_once=not lost)
