"""A swarm of two machines, which are namespaces of this one, with an overlay network and a registry.

The manager has this machine's Engine, the worker the newest that Debian has. They hang on a bridge, where
this machine is host 1 and the registry listens. Ports that tasks publish in mode `host` answer at the node's
address there. The kernel may lack IPVS: then virtual addresses of services and the routing mesh carry
nothing, and services need the endpoint mode `dnsrr`. Nothing leads beyond the bridge: an image of any other
registry is looked up in vain at once, and the node's own is taken.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from tests.testbed import newest, swarm_registry
from tests.testbed.bridge import Bridge, ip
from tests.testbed.engine import EngineHandle, ensure_engine
from tests.testbed.images import ensure_stub_image, recipe_hash
from tests.testbed.registry import ACCOUNT, Registry
from tests.testbed.steps import TestbedError, cache_dir, lock, step, wait_until
from tests.testbed.swarm_node import BOOT, SwarmNode

SUBNETS = range(100)
"""The third byte of 198.18.x.0/24; the higher ones are left to Engines of tests' own."""
MANAGER, WORKER = "manager", "worker"
NETWORK = "servers"
NETWORK_RANGE = "10.80.0.0/20"
"""A /24, the default, has addresses for some 240 servers."""
REGISTRY_PORT = 5000
STUB = "stub"
"""The stub image's name in the registry, which has it as STUB:1."""
READY_SECONDS = 90.0
EMPTY_SECONDS = 120.0
"""A task on an overlay network waits 2 s before it is stopped, and one that ignores SIGTERM 10 s more."""
RECIPE = recipe_hash(BOOT, NETWORK, NETWORK_RANGE, MANAGER, WORKER, newest.recipe())


class Swarm:
    """The swarm that runs in one subnet."""

    def __init__(self, subnet: str, usr: str) -> None:
        self.subnet = subnet
        self.bridge = Bridge(subnet)
        self.manager = SwarmNode(MANAGER, _folder() / MANAGER, f"{subnet}.11")
        self.worker = SwarmNode(WORKER, _folder() / WORKER, f"{subnet}.12", Path(usr) if usr else None)
        self.network = NETWORK
        """An attachable overlay network."""
        self.account = ACCOUNT
        """Who may use the registry."""
        self.registry = Registry(f"{subnet}.1:{REGISTRY_PORT}", ACCOUNT)

    @property
    def nodes(self) -> tuple[SwarmNode, SwarmNode]:
        return self.manager, self.worker

    @property
    def host_address(self) -> str:
        """The address at which the machines, and containers on them, reach this machine."""
        return f"{self.subnet}.1"

    @property
    def stub(self) -> str:
        """The stub image in the registry, which wants the password; both nodes have it already."""
        return f"{self.registry.address}/{STUB}:1"

    @cached_property
    def http(self) -> httpx.Client:
        """The manager, for requests of one's own, without API version."""
        return self.manager.client()

    def credentials(self, password: str = ACCOUNT.password) -> str:
        """The registry's account as the header X-Registry-Auth has it."""
        told = {
            "username": self.account.name,
            "password": password,
            "serveraddress": self.registry.address,
        }
        return base64.urlsafe_b64encode(json.dumps(told).encode()).decode()

    def node_id(self, node: SwarmNode) -> str:
        return str(self.document(node)["ID"])

    def document(self, node: SwarmNode) -> dict[str, Any]:
        """What the manager says of this node: the newest, where it has joined more than once."""
        found = [each for each in self._get("/nodes") if each["Description"].get("Hostname") == node.name]
        return max(found, key=lambda each: str(each["CreatedAt"]))

    def is_ready(self, node: SwarmNode) -> bool:
        """Whether the manager takes this node for ready, and gives it tasks."""
        with contextlib.suppress(httpx.HTTPError, ValueError):
            found = self.document(node)
            return bool(found["Status"]["State"] == "ready" and found["Spec"]["Availability"] == "active")
        return False

    def set_availability(self, node: SwarmNode, availability: str) -> None:
        """Have the node `active`, `pause`d or `drain`ed."""

        def updated() -> bool:
            found = self.document(node)
            spec = {**found["Spec"], "Availability": availability}
            version = found["Version"]["Index"]
            answer = self.http.post(f"/nodes/{found['ID']}/update", params={"version": version}, json=spec)
            # The manager has noted something else of the node meanwhile.
            return "out of sequence" not in answer.text and answer.raise_for_status().is_success

        if not wait_until(updated, READY_SECONDS):
            raise TestbedError(f"The node {node.name} does not become {availability}.")

    @contextlib.contextmanager
    def drained(self, node: SwarmNode) -> Iterator[None]:
        """Have the node give up its tasks and take none."""
        self.set_availability(node, "drain")
        try:
            yield
        finally:
            self.set_availability(node, "active")

    @contextlib.contextmanager
    def killed(self, node: SwarmNode) -> Iterator[None]:
        """Have the node's dockerd killed; at the end the node is ready again."""
        node.kill()
        try:
            yield
        finally:
            self.start(node)

    @contextlib.contextmanager
    def cut_off(self, node: SwarmNode) -> Iterator[None]:
        """Have the node, on which all goes on, hear nothing of the others; at the end it is ready again."""
        self.bridge.cut(node.address)
        try:
            yield
        finally:
            self.bridge.join(node.address)
            if not wait_until(lambda: self.is_ready(node), READY_SECONDS):
                raise TestbedError(f"The node {node.name} does not come back; log: {node.log}")

    @contextlib.contextmanager
    def shut_down(self, node: SwarmNode) -> Iterator[None]:
        """Have the node's dockerd end as a service manager ends it; at the end the node is ready again."""
        node.shut_down()
        try:
            yield
        finally:
            self.start(node)

    def restart(self, node: SwarmNode, settings: Mapping[str, Any] | None = None) -> None:
        """Restart the node's dockerd as a service manager does, and wait until the node is ready."""
        node.shut_down()
        self.start(node, settings)

    def start(self, node: SwarmNode, settings: Mapping[str, Any] | None = None) -> None:
        """Start the node's dockerd, with settings of daemon.json, and wait until the node is ready."""
        node.start(f"{self.subnet}.0/24", settings)
        if not wait_until(lambda: self.is_ready(node), READY_SECONDS):
            raise TestbedError(f"The node {node.name} does not become ready; log: {node.log}")

    def tasks(self, **filters: str) -> list[dict[str, Any]]:
        """The tasks that the manager lists."""
        given = json.dumps({key: [value] for key, value in filters.items()})
        return list(self._get("/tasks", filters=given))

    def sweep(self) -> None:
        """Remove all that tests have made, and wait until it is gone; images stay."""
        for node in self.nodes:
            self.set_availability(node, "active")
        for kind in ("services", "secrets", "configs"):
            for each in self._get(f"/{kind}"):
                self.http.delete(f"/{kind}/{each['ID']}").raise_for_status()
        if not wait_until(lambda: not self.tasks(), EMPTY_SECONDS):
            raise TestbedError(f"The swarm still has tasks: {[each['ID'] for each in self.tasks()]}")
        for node in self.nodes:
            with node.client() as http:
                _sweep_node(http)
        networks = self._get("/networks", filters='{"type": ["custom"], "scope": ["swarm"]}')
        for made in (each for each in networks if each["Name"] not in {NETWORK, "ingress"}):
            self.sweep_network(made["Id"])

    def remove_of(self, hub_id: str, prefix: str) -> None:
        """Remove what is left of a Hub's: by its label, and volumes of any node by how their names begin."""
        told = json.dumps({"label": [f"asyncdockerspawner.hub={hub_id}"]})
        for kind in ("services", "secrets", "configs"):
            for each in self._get(f"/{kind}", filters=told):
                self.http.delete(f"/{kind}/{each['ID']}")
        wait_until(lambda: not self.tasks(label=f"asyncdockerspawner.hub={hub_id}"), EMPTY_SECONDS)
        for node in self.nodes:
            with node.client() as http:
                for volume in http.get("/volumes").json()["Volumes"] or []:
                    if volume["Name"].startswith(prefix):
                        http.delete(f"/volumes/{volume['Name']}")

    def sweep_network(self, ref: str) -> None:
        """Remove a network, once the tasks that have used it are gone."""
        gone = {204, 404}
        if not wait_until(lambda: self.http.delete(f"/networks/{ref}").status_code in gone, EMPTY_SECONDS):
            raise TestbedError(f"The network {ref} is still in use.")

    def close(self) -> None:
        """Close connections."""
        self.registry.http.close()
        if "http" in vars(self):
            self.http.close()

    def _get(self, path: str, **parameters: str) -> Any:
        return self.http.get(path, params=parameters).raise_for_status().json()


def obstacle() -> str:
    """Why no swarm can run here; "" where one can."""
    if why := newest.obstacle():
        return why
    return "" if shutil.which("unshare") else "the program unshare is missing"


def ensure_swarm() -> Swarm:
    """The swarm with both nodes ready; what of one that does not work is there is taken away before."""
    why = obstacle()
    if why:
        raise TestbedError(f"No swarm of two nodes can run here: {why}.")
    with lock("swarm"):
        found = find_swarm()
        if found is not None:
            return found
        own = ensure_engine()  # iptables is installed then
        stop_swarm()
        usr, image = str(newest.ensure_unpacked() or ""), ensure_stub_image()
        with step("bringing up a swarm of two nodes"):
            swarm = _plug(usr)
            _bring_up(swarm, own, image)
            _write_state(subnet=swarm.subnet, usr=usr, complete=True)
        return swarm


def find_swarm() -> Swarm | None:
    """The swarm, if it was made by this recipe, and registry and nodes are ready."""
    swarm = _recorded()
    if swarm is None:
        return None
    made = _state()["complete"] and _state()["recipe"] == RECIPE
    usable = made and all(node.answers() for node in swarm.nodes) and swarm_registry.pids(_folder())
    if usable and wait_until(lambda: all(map(swarm.is_ready, swarm.nodes)), READY_SECONDS):
        return swarm
    swarm.close()
    return None


def stop_swarm() -> bool:
    """End the swarm and take away all of it. Says whether there was any."""
    with lock("swarm"):
        swarm = _recorded()
        if swarm is None:
            return False
        swarm.close()
        with step("taking away the swarm of two nodes"):
            for node in swarm.nodes:
                node.erase()
            swarm_registry.end(_folder())
            swarm.bridge.remove()
            shutil.rmtree(_folder())
        return True


def remains(swarm: Swarm) -> list[str]:
    """What of this swarm there is: processes, cgroups, links, the rule and folders."""
    found = [each for node in swarm.nodes for each in node.remains()]
    found += [*swarm.bridge.remains(), *(f"registry {pid}" for pid in swarm_registry.pids(_folder()))]
    return found + [str(_folder())] * _folder().exists()


@contextlib.contextmanager
def in_use(*, alone: bool = False) -> Iterator[Swarm]:
    """The swarm, for one who shares it with others, or has it `alone` and without anything of theirs."""
    with _user_lock().open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        swarm = ensure_swarm()
        try:
            if alone:
                swarm.sweep()
            yield swarm
        finally:
            swarm.close()


def tidy_up() -> None:
    """Take away what runs that were killed have left in the swarm, unless somebody uses it."""
    # One that was killed has no lock any more.
    with _user_lock().open("w") as handle, contextlib.suppress(BlockingIOError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        swarm = find_swarm()
        if swarm is not None:
            swarm.sweep()
            swarm.close()


def _user_lock() -> Path:
    return cache_dir() / "swarm-in-use.lock"


def _folder() -> Path:
    return cache_dir().joinpath("swarm")


def _state() -> dict[str, Any]:
    state = _folder() / "state.json"
    return dict(json.loads(state.read_text())) if state.exists() else {}


def _write_state(**state: object) -> None:
    _folder().mkdir(exist_ok=True)
    written = _folder() / "state.json.new"
    written.write_text(json.dumps({"recipe": RECIPE, **state}))
    written.rename(_folder() / "state.json")


def _recorded() -> Swarm | None:
    """The swarm that was begun, whatever there is of it."""
    state = _state()
    return Swarm(state["subnet"], state["usr"]) if state else None


def _plug(usr: str) -> Swarm:
    """Take a free subnet, and make its bridge; what is about to be made is written down first."""
    for third in SUBNETS:
        subnet = f"198.18.{third}"
        if f" {subnet}." in ip("-4", "-oneline", "address"):
            continue
        swarm = Swarm(subnet, usr)
        _write_state(subnet=subnet, usr=usr, complete=False)
        with contextlib.suppress(TestbedError):  # somebody has just taken it
            swarm.bridge.make()
            return swarm
        swarm.close()
    raise TestbedError("No network from 198.18.0.0/24 to 198.18.99.0/24 is free for a swarm.")


def _bring_up(swarm: Swarm, own: EngineHandle, image: str) -> None:
    swarm_registry.start(_folder(), swarm.registry, swarm.account)
    for node in swarm.nodes:
        node.boot(swarm.bridge)
        node.start(f"{swarm.subnet}.0/24")
    swarm.registry.add(STUB, image, own)
    for node in swarm.nodes:
        node.load(image, own)
        with node.client() as http:
            name, _, tag = swarm.stub.rpartition(":")
            http.post(f"/images/{image}/tag", params={"repo": name, "tag": tag}).raise_for_status()
    _join(swarm)
    ipam = {"Config": [{"Subnet": NETWORK_RANGE}]}
    network = {"Name": NETWORK, "Driver": "overlay", "Attachable": True, "IPAM": ipam}
    swarm.http.post("/networks/create", json=network).raise_for_status()


def _join(swarm: Swarm) -> None:
    address = f"{swarm.manager.address}:2377"
    given = {"ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": swarm.manager.address}
    swarm.http.post("/swarm/init", json=given).raise_for_status()
    tokens = swarm.http.get("/swarm").raise_for_status().json()["JoinTokens"]
    given = {"ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": swarm.worker.address}
    joining = {**given, "RemoteAddrs": [address], "JoinToken": tokens["Worker"]}
    with swarm.worker.client() as http:
        http.post("/swarm/join", json=joining).raise_for_status()
    if not wait_until(lambda: all(map(swarm.is_ready, swarm.nodes)), READY_SECONDS):
        raise TestbedError(f"The nodes of the swarm do not become ready; logs: {_folder()}/*/dockerd.log")


def _sweep_node(http: httpx.Client) -> None:
    for container in http.get("/containers/json", params={"all": 1}).json():
        http.delete(f"/containers/{container['Id']}", params={"force": 1, "v": 1})
    for volume in http.get("/volumes").json()["Volumes"] or []:
        http.delete(f"/volumes/{volume['Name']}").raise_for_status()
