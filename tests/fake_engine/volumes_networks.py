"""The `/volumes` and `/networks` routes."""

from __future__ import annotations

import copy
import json

from aiohttp import web

from tests.fake_engine import lifetime, mounting
from tests.fake_engine.answers import Refused, answer, has_labels, nothing, parse_filters
from tests.fake_engine.lifetime import PREDEFINED
from tests.fake_engine.listeners import SUBNET
from tests.fake_engine.shapes import ENDPOINT, Json
from tests.fake_engine.state import EngineState, new_id, now
from tests.fake_engine.swarm import networks as swarm_networks
from tests.fake_engine.swarm.state import Swarm
from tests.fake_engine.validation import check_volume_name


def make_network(engine: EngineState, name: str, driver: str, labels: dict[str, str]) -> Json:
    """Put a network into the books. Networks share one subnet: a fake has addresses enough."""
    ranges = [{"Subnet": f"{SUBNET}.0/24", "Gateway": f"{SUBNET}.1"}] if driver == "bridge" else []
    network: Json = {
        "Name": name,
        "Id": new_id(),
        "Created": now(),
        "Scope": "local",
        "Driver": driver,
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": None, "Config": ranges},
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {},
        "Options": {},
        "Labels": labels,
    }
    engine.networks[network["Id"]] = network
    return network


def furnish(engine: EngineState) -> None:
    """Give a fresh Engine the networks that every Engine has."""
    for name, driver in PREDEFINED.items():
        make_network(engine, name, driver, {})


async def _body(request: web.Request) -> Json:
    raw = await request.read()
    return dict(json.loads(raw)) if raw.strip() else {}


class Volumes:
    """Answers about volumes."""

    def __init__(self, engine: EngineState) -> None:
        self._engine = engine

    def routes(self) -> list[web.RouteDef]:
        """Method, path and handler of each."""
        return [
            web.post("/volumes/create", self.create),
            web.get("/volumes", self.index, allow_head=False),
            web.get("/volumes/{name}", self.inspect, allow_head=False),
            web.delete("/volumes/{name}", self.remove),
        ]

    def _find(self, name: str) -> Json:
        if name not in self._engine.volumes:
            raise Refused(404, f"get {name}: no such volume")
        return self._engine.volumes[name]

    async def create(self, request: web.Request) -> web.Response:
        """`POST /volumes/create`; a volume that exists is given as it is."""
        body = await _body(request)
        name = body.get("Name") or new_id()
        driver = body.get("Driver") or "local"
        if driver != "local":
            why = f'error looking up volume plugin {driver}: plugin "{driver}" not found'
            raise Refused(404, f"create {name}: {why}")
        check_volume_name(name)
        await request["linger"]()
        labels = body.get("Labels")
        if self._engine.dialect.new and not body.get("Name"):
            labels = {**(labels or {}), "com.docker.volume.anonymous": ""}
        return answer(mounting.ensure(self._engine, name, labels), 201)

    async def inspect(self, request: web.Request) -> web.Response:
        """`GET /volumes/NAME`."""
        return answer(self._find(request.match_info["name"]))

    async def index(self, request: web.Request) -> web.Response:
        """`GET /volumes`."""
        filters = parse_filters(request.query.get("filters"))
        names = filters.get("name")
        shown = [
            volume
            for volume in self._engine.volumes.values()
            if has_labels(volume["Labels"] or {}, filters.get("label", []))
            and (names is None or any(part in volume["Name"] for part in names))
        ]
        return answer({"Volumes": shown, "Warnings": None})

    async def remove(self, request: web.Request) -> web.Response:
        """`DELETE /volumes/NAME`."""
        name = request.match_info["name"]
        self._find(name)
        users = mounting.users(self._engine, name)
        if users:
            raise Refused(409, f"remove {name}: volume is in use - [{', '.join(users)}]")
        await request["linger"]()
        del self._engine.volumes[name]
        return nothing()


class Networks:
    """Answers about networks."""

    def __init__(self, engine: EngineState, swarm: Swarm) -> None:
        self._engine = engine
        self._swarm = swarm

    def routes(self) -> list[web.RouteDef]:
        """Method, path and handler of each."""
        return [
            web.post("/networks/create", self.create),
            web.get("/networks", self.index, allow_head=False),
            web.get("/networks/{ref}", self.inspect, allow_head=False),
            web.delete("/networks/{ref}", self.remove),
            web.post("/networks/{ref}/connect", self.connect),
            web.post("/networks/{ref}/disconnect", self.disconnect),
        ]

    async def create(self, request: web.Request) -> web.Response:
        """`POST /networks/create`."""
        body = await _body(request)
        name, driver = body.get("Name") or "", body.get("Driver") or "bridge"
        if not name:
            raise Refused(500, "invalid name: ")
        if driver not in {"bridge", "macvlan", "ipvlan", "overlay"}:
            raise Refused(404, f'plugin "{driver}" not found')
        taken = any(each["Name"] == name for each in self._engine.networks.values())
        if taken and (body.get("CheckDuplicate") or driver == "overlay"):
            raise Refused(409, f"network with name {name} already exists")
        if driver == "overlay":
            return answer({"Id": swarm_networks.make(self._swarm, name, body)["Id"], "Warning": ""}, 201)
        network = make_network(self._engine, name, driver, body.get("Labels") or {})
        return answer({"Id": network["Id"], "Warning": ""}, 201)

    async def index(self, request: web.Request) -> web.Response:
        """`GET /networks`, without the containers in each."""
        filters = parse_filters(request.query.get("filters"))
        names = filters.get("name")
        return answer(
            [
                self._engine.dialect.network(
                    {**_shown(each), "Containers": None if each["Scope"] == "swarm" else {}}
                )
                for each in self._engine.networks.values()
                if has_labels(each["Labels"] or {}, filters.get("label", []))
                and (names is None or any(part in each["Name"] for part in names))
                and all(
                    each[key.title()] in filters.get(key, [each[key.title()]]) for key in ("scope", "driver")
                )
            ]
        )

    async def inspect(self, request: web.Request) -> web.Response:
        """`GET /networks/REF`."""
        network = self._engine.network(request.match_info["ref"])
        told = {**_shown(network), "Containers": self._inside(network)}
        if network["Scope"] == "swarm":
            more, peers = swarm_networks.seen_by_manager(self._swarm, network)
            told |= {"Containers": {**told["Containers"], **more} or None, **peers}
        return answer(self._engine.dialect.network(told))

    def _inside(self, network: Json) -> Json:
        return {
            number: {
                "Name": self._engine.containers[number].name,
                "EndpointID": endpoint["EndpointID"],
                "MacAddress": endpoint["MacAddress"],
                "IPv4Address": f"{endpoint['IPAddress']}/{endpoint['IPPrefixLen']}",
                "IPv6Address": "",
            }
            for number, endpoint in network["Containers"].items()
            # What runs on other nodes of a swarm is not seen here.
            if number in self._engine.containers
        }

    async def remove(self, request: web.Request) -> web.Response:
        """`DELETE /networks/REF`."""
        network = self._engine.network(request.match_info["ref"])
        name = network["Name"]
        if name in PREDEFINED:
            raise Refused(403, f"{name} is a pre-defined network and cannot be removed")
        if network["Scope"] == "swarm":
            swarm_networks.remove(self._swarm, network)
            return nothing()
        if network["Containers"]:
            why = f"network {name} id {network['Id']} has active endpoints"
            if self._engine.dialect.new:
                inside = [
                    f'name:"{self._engine.containers[each].name}" id:"{endpoint["EndpointID"][:12]}"'
                    for each, endpoint in network["Containers"].items()
                ]
                why = f"network {name} has active endpoints ({', '.join(inside)})"
            raise Refused(403, f"error while removing network: {why}")
        del self._engine.networks[network["Id"]]
        return nothing()

    async def connect(self, request: web.Request) -> web.Response:
        """`POST /networks/REF/connect`; before the first start it is only noted."""
        body = await _body(request)
        container = self._engine.find(body.get("Container") or "")
        network = self._engine.network(request.match_info["ref"])
        name = network["Name"]
        if container.running and container.id in network["Containers"]:
            raise Refused(403, f"endpoint with name {container.name} already exists in network {name}")
        own = {key: value for key, value in (body.get("EndpointConfig") or {}).items() if value is not None}
        endpoint = {**copy.deepcopy(ENDPOINT), **own}
        container.networks[name] = endpoint
        if container.running:
            lifetime.connect(self._engine, container, name)
        return nothing(200)

    async def disconnect(self, request: web.Request) -> web.Response:
        """`POST /networks/REF/disconnect`; of a container that does not run, only the name is looked at."""
        body = await _body(request)
        container = self._engine.find(body.get("Container") or "")
        network = self._engine.network(request.match_info["ref"])
        name = network["Name"]
        if container.networks.pop(name, None) is None:
            raise Refused(500, f"container {container.id} is not connected to the network {name}")
        network["Containers"].pop(container.id, None)
        if container.running:
            self._engine.network_event(network, "disconnect", container=container.id)
        return nothing(200)


def _shown(network: Json) -> Json:
    return {key: value for key, value in network.items() if not key.startswith("_")}
