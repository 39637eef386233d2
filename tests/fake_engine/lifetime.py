"""How a fake container lives: start, death by itself, stop, kill, removal."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from tests.fake_engine import differences, documents, listeners, policy, tls
from tests.fake_engine.answers import Refused
from tests.fake_engine.shapes import ENDPOINT
from tests.fake_engine.state import Container, EngineState, new_id, now, seconds_of
from tests.fake_engine.swarm import overlay

Linger: TypeAlias = Callable[[], Awaitable[None]]

SIGNALS = {"KILL": 9, "TERM": 15, "INT": 2, "HUP": 1, "QUIT": 3, "USR1": 10, "USR2": 12, "WINCH": 28}
PREDEFINED = {"bridge": "bridge", "host": "host", "none": "null"}
"""The networks that every Engine has, and their drivers."""
REACTION = 0.005
"""Seconds a process takes to die of a signal."""
CLEANUP = 0.03
"""Seconds the Engine takes to remove a container by itself (AutoRemove)."""
_OCI = "failed to create shim task: OCI runtime create failed: runc create failed: "


async def start(engine: EngineState, container: Container, linger: Linger) -> bool:
    """Start a container; False if it runs already. Who inspects it meanwhile, waits."""
    async with container.lock:
        if container.running:
            return False
        if container.removing:
            raise Refused(409, "container is marked for removal and cannot be started")
        await linger()
        container.restarts, container.by_hand = 0, False
        await _begin(engine, container)
    if container.life is not None and container.trait("exit_after") == "0":
        await container.life
    return True


async def _begin(engine: EngineState, container: Container) -> None:
    try:
        await _launch(engine, container)
    except Refused as refused:
        told = engine.dialect.start_failed(refused)
        _failed(engine, container, told)
        raise told from refused
    tell_end(engine, container)
    engine.container_event(container, "start")
    _schedule_end(engine, container)
    engine.background(asyncio.ensure_future(_come_up(engine, container, container.exits)))


async def _launch(engine: EngineState, container: Container) -> None:
    mode = str(container.host_config["NetworkMode"])
    container.host_config.setdefault("Runtime", "runc")
    if mode.startswith("container:"):
        _join(engine.find(mode.removeprefix("container:")), container)
    attached: list[str] = []
    for endpoint in container.networks.values():
        # Once it has run, it knows its networks by id.
        if endpoint["NetworkID"]:
            engine.network(endpoint["NetworkID"])
    for name in container.networks:
        connect(engine, container, name)
        attached.append(name)
    lacking = _take_certificates(engine, container)
    try:
        await listeners.publish(container, _ports_given_out(engine), engine.address)
        _check_command(container)
    except Refused:
        disconnect(engine, container)
        raise
    container.state.update(
        Status="running",
        Running=True,
        Restarting=False,
        Pid=4000 + len(engine.containers),
        ExitCode=0,
        Error="",
        OOMKilled=False,
        StartedAt=now(),
    )
    _write_log(container)
    if lacking:
        container.log.append((2, now(), f"{lacking}\n".encode()))
        engine.background(asyncio.ensure_future(_end_later(engine, container, 0.05, 1, False)))
    differences.write(container)


def _take_certificates(engine: EngineState, container: Container) -> str:
    """Read what its process will listen with; gives why it cannot."""
    container.tls = None
    try:
        container.tls = tls.context_of(engine, container)
    except tls.NoCertificate as exc:
        return str(exc)
    return ""


def _join(holder: Container, container: Container) -> None:
    """Bring a container into the network of another one, whose host name it has then."""
    if not holder.running:
        told = f"{holder.name} is {holder.state['Status']}"
        raise Refused(409, f"cannot join network of a non running container: {holder.id}", told)
    if container not in holder.guests:
        holder.guests.append(container)
    container.config["Hostname"] = holder.config["Hostname"]


def _ports_given_out(engine: EngineState) -> set[int]:
    return {
        int(binding["HostPort"])
        for container in engine.containers.values()
        for bindings in container.ports.values()
        for binding in bindings or ()
    }


def _check_command(container: Container) -> None:
    command = documents.words(container)
    if not command or "no-such" not in command[0]:
        return
    word = command[0]
    why = f"stat {word}: no such file or directory" if "/" in word else "executable file not found in $PATH"
    raise Refused(400, f'{_OCI}unable to start container process: exec: "{word}": {why}: unknown')


def _failed(engine: EngineState, container: Container, refused: Refused) -> None:
    code = 127 if refused.status == 400 else container.state["ExitCode"] or 128
    container.state.update(ExitCode=code, Error=refused.message)
    if container.waiting:
        container.state.update(Status="exited", Running=False, Restarting=False)
    listeners.close(container)
    container.ports = {}
    if container.host_config["AutoRemove"]:
        forget(engine, container)


def connect(engine: EngineState, container: Container, name: str, *, told: bool = True) -> None:
    """Give a container its address in a network."""
    network = engine.network(name)
    endpoint = container.networks[name]
    endpoint["NetworkID"] = network["Id"]
    endpoint["EndpointID"] = new_id()
    if name not in PREDEFINED:
        own = [alias for alias in endpoint["Aliases"] or () if alias != container.id[:12]]
        endpoint["Aliases"] = [*own, container.id[:12]]
    if network["Driver"] == "bridge":
        network["_taken"] = network.get("_taken", 1) % 250 + 1
        host = network["_taken"]
        prefix = network["IPAM"]["Config"][0]["Subnet"].rpartition(".")[0]
        endpoint.update(
            IPAddress=f"{prefix}.{host}",
            Gateway=f"{prefix}.1",
            IPPrefixLen=24,
            MacAddress=f"02:42:ac:11:00:{host:02x}",
        )
    if network["Driver"] == "overlay":
        overlay.join(network, container, endpoint)
    network["Containers"][container.id] = endpoint
    if told:
        engine.network_event(network, "connect", container=container.id)


def disconnect(engine: EngineState, container: Container) -> None:
    """Take a container's addresses away, as its end does."""
    for name, endpoint in container.networks.items():
        network = next((each for each in engine.networks.values() if each["Name"] == name), None)
        if network is not None and network["Containers"].pop(container.id, None):
            overlay.leave(network, container)
            engine.network_event(network, "disconnect", container=container.id)
        kept = {key: endpoint[key] for key in ("Aliases", "IPAMConfig", "NetworkID")}
        endpoint.update({**ENDPOINT, **kept})


def _write_log(container: Container) -> None:
    for number, word in ((1, "stdout"), (2, "stderr")):
        for line in (container.trait(word) or "").splitlines():
            container.log.append((number, now(), line.encode() + b"\n"))


def _schedule_end(engine: EngineState, container: Container) -> None:
    code = container.trait("exit")
    if code is None:
        container.life = None
        return
    seconds = float(container.trait("exit_after") or 0.05)
    ending = _end_later(engine, container, seconds, int(code), container.trait("oom") == "1")
    container.life = engine.background(asyncio.ensure_future(ending))


async def _come_up(engine: EngineState, container: Container, life: int) -> None:
    """Listen on the machine's network after `imports` seconds, or die as somebody else does."""
    await asyncio.sleep(float(container.trait("imports") or 0))
    if container.exits != life or not container.running:
        return
    mode = str(container.host_config["NetworkMode"])
    holder = engine.containers.get(mode.removeprefix("container:"))
    if mode.startswith("container:") and holder is not None:
        await listeners.in_another(container, holder)
        return
    if await listeners.on_the_machine(container):
        return
    container.log.append((2, now(), b"OSError: [Errno 98] Address already in use\n"))
    again = policy.pause(container) if policy.starts_again(container, 1) else None
    await die(engine, container, 1, again=again)


async def _end_later(engine: EngineState, container: Container, seconds: float, code: int, oom: bool) -> None:
    await asyncio.sleep(seconds)
    again = policy.pause(container) if policy.starts_again(container, code) else None
    await die(engine, container, code, oom=oom, again=again)


async def die(
    engine: EngineState, container: Container, code: int, *, oom: bool = False, again: float | None = None
) -> None:
    """End a container's process, wake who waits for that; `again`: seconds until it is started anew."""
    if not container.running or container.waiting:
        return
    if engine.away:
        found_dead(engine, container, code)
        await _tell(container)
        return
    _ended(container, code, oom=oom, waits=again is not None)
    container.ports = {}
    if oom:
        engine.container_event(container, "oom")
    container.untold = {"exitCode": str(code)}
    if container.stopping and engine.dialect.new:
        engine.background(asyncio.ensure_future(_tell_end_later(engine, container)))
    else:
        tell_end(engine, container)
    disconnect(engine, container)
    if again is not None:
        container.restarts += 1
        life = asyncio.ensure_future(_start_again(engine, container, again))
        container.life = engine.background(life)
    elif container.host_config["AutoRemove"] and not (container.removing or container.restarting):
        container.removing = True
        container.state.update(Status="removing", Dead=True)
        engine.background(asyncio.ensure_future(_remove_later(engine, container)))
    await _tell(container)


def tell_end(engine: EngineState, container: Container) -> None:
    """Let it be heard that a container has ended, if it was not yet."""
    if container.untold is not None:
        lasted = {"execDuration": str(_seconds_lived(container))} if engine.dialect.new else {}
        engine.container_event(container, "die", **lasted, **container.untold)
        container.untold = None


def _seconds_lived(container: Container) -> int:
    return seconds_of(container.state["FinishedAt"]) - seconds_of(container.state["StartedAt"])


async def _tell_end_later(engine: EngineState, container: Container) -> None:
    await asyncio.sleep(REACTION)
    tell_end(engine, container)


def _ended(container: Container, code: int, *, oom: bool = False, waits: bool = False) -> None:
    container.state.update(
        Status="restarting" if waits else "exited",
        Running=waits,
        Restarting=waits,
        Paused=False,
        Pid=0,
        ExitCode=code,
        OOMKilled=oom,
        FinishedAt=now(),
    )
    container.exits += 1
    listeners.close(container)


def found_dead(engine: EngineState, container: Container, code: int) -> None:
    """It ended unheard: its ports and addresses stay in the books, and nobody is told."""
    _ended(container, code)
    for network in engine.networks.values():
        network["Containers"].pop(container.id, None)


async def _start_again(engine: EngineState, container: Container, seconds: float) -> None:
    await asyncio.sleep(seconds)
    async with container.lock:
        if container.waiting and not container.removing:
            with contextlib.suppress(Refused):
                await _begin(engine, container)
            await _tell(container)


async def _give_up(container: Container) -> None:
    """Let a container that waits for its next start wait no more."""
    container.state.update(Status="exited", Running=False, Restarting=False)
    await _tell(container)


async def _remove_later(engine: EngineState, container: Container) -> None:
    await asyncio.sleep(CLEANUP)
    forget(engine, container)
    await _tell(container)


async def stop(engine: EngineState, container: Container, grace: float, linger: Linger) -> bool:
    """SIGTERM, after the grace SIGKILL; False if it does not run. Nobody who inspects has to wait."""
    if not container.running:
        return False
    await linger()
    container.by_hand = container.stopping = True
    try:
        if container.running:
            await kill(engine, container, 15)
        if container.running:
            await exited(container, container.exits, grace)
        if container.running:
            await kill(engine, container, 9)
    finally:
        container.stopping = False
    engine.container_event(container, "stop")
    return True


async def kill(engine: EngineState, container: Container, signal: int) -> None:
    """Send a signal; returns when the process had the time to react."""
    if container.waiting:
        await _give_up(container)
        return
    engine.container_event(container, "kill", signal=str(signal))
    deaf = container.trait("slowstop") == "1"
    if signal == 9 or (signal in {2, 3, 15} and not deaf):
        await asyncio.sleep(REACTION)
        code = 128 + signal if signal == 9 else int(container.trait("term_code") or 0)
        await die(engine, container, code)


async def exited(container: Container, since: int, seconds: float | None) -> bool:
    """Wait until it has ended once more often than `since`; False if that takes longer."""
    try:
        async with asyncio.timeout(seconds), container.changed:
            await container.changed.wait_for(lambda: container.exits > since or container.removed)
    except TimeoutError:
        return False
    return True


async def remove(engine: EngineState, container: Container, force: bool, linger: Linger) -> None:
    """Remove a container. Raises Refused."""
    if container.removing:
        raise Refused(409, f"removal of container {container.id} is already in progress")
    if container.running and not force:
        raise Refused(
            409,
            f"You cannot remove a {container.state['Status']} container {container.id}. "
            "Stop the container before attempting removal or force remove",
        )
    container.removing = True
    async with container.lock:
        await linger()
        if container.running:
            await kill(engine, container, 9)
        container.state.update(Status="removing", Dead=True)
    # Others who remove it at the same time are told so, as long as this takes.
    await asyncio.sleep(REACTION)
    forget(engine, container)
    await _tell(container)


def forget(engine: EngineState, container: Container) -> None:
    """Take a container out of the books."""
    if engine.containers.pop(container.id, None) is None:
        return
    container.removed = container.removing = True
    tell_end(engine, container)
    engine.container_event(container, "destroy")


async def _tell(container: Container) -> None:
    async with container.changed:
        container.changed.notify_all()
