"""One Engine's answers to a script of requests, written down so that two Engines can be compared.

Compared are status, the text of refusals, the shape of documents (keys and types) and chosen values; ids,
names, times and addresses are masked.
"""

from __future__ import annotations

import itertools
import re
import uuid
from typing import Any

import httpx

LABEL = "fake-engine-compare"
DIFFERENT_BY_MACHINE = {"GraphDriver", "Plugins", "Runtimes", "Warnings", "DriverStatus", "Components"}
NOT_READ = {"Options", "SecurityOptions", "RegistryConfig", "GenericResources", "Swarm"}


class Player:
    """Plays requests at one Engine and writes down what it answers."""

    def __init__(self, http: httpx.AsyncClient, image: str) -> None:
        self.http = http
        self.image = image
        self.tag = f"cmp{uuid.uuid4().hex[:10]}"
        self.heard: list[tuple[str, int, Any]] = []

    async def orderly(self, heard: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Events as 20.10 tells them: newer Engines may tell of a stop before the end that it has brought."""
        told = list(heard)
        version = (await self.http.get("/version")).json()["ApiVersion"]
        for number, (one, other) in enumerate(itertools.pairwise(heard)):
            actions = (one["Action"], other["Action"])
            if (
                version != "1.41"
                and actions == ("stop", "die")
                and one["Actor"]["ID"] == other["Actor"]["ID"]
            ):
                told[number : number + 2] = [other, one]
        return told

    def name(self, word: str) -> str:
        """A name that nobody else has; masked in what is written down."""
        return f"{self.tag}-{word}"

    def labels(self, own: dict[str, str] | None = None) -> dict[str, str]:
        return {LABEL: self.tag, **(own or {})}

    async def ask(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """Send one request; its status and the shape or the text of its answer are compared."""
        if body is not None:
            options["json"] = body
        answer = await self.http.request(method, path, **options)
        self.see(f"{method} {path}", answer.status_code, digest(answer))
        return answer

    def see(self, what: str, status: int = 0, value: Any = None) -> None:
        """Write down something to be compared."""
        self.heard.append((self._masked(what), status, self._masked(value)))

    async def create(self, word: str | None = None, **body: Any) -> str:
        """Ask for a container; gives its id, or nothing where it was refused."""
        body = {"Image": self.image, **body, "Labels": self.labels(body.get("Labels"))}
        params = {} if word is None else {"name": self.name(word)}
        answer = await self.ask("POST", "/containers/create", body, params=params)
        return str(answer.json().get("Id", ""))

    async def running(self, word: str, **body: Any) -> str:
        """Create and start a container."""
        ref = await self.create(word, **body)
        await self.ask("POST", f"/containers/{ref}/start")
        return ref

    async def look(self, ref: str) -> dict[str, Any]:
        """Inspect a container; its shape and the values that a spawner reads are compared."""
        answer = await self.ask("GET", f"/containers/{ref}/json")
        found = dict(answer.json())
        state = {
            key: found["State"][key]
            for key in ("Status", "Running", "OOMKilled", "Dead", "ExitCode", "Error")
        }
        ports = found["NetworkSettings"]["Ports"]
        config = {
            key: found["Config"].get(key) for key in ("Cmd", "Entrypoint", "Image", "Labels", "ExposedPorts")
        }
        names = [found["Name"], found["Path"], found["Args"], sorted(found["NetworkSettings"]["Networks"])]
        self.see("looked", 0, [state, _port_words(ports), config, names])
        return found

    def _masked(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self._masked(key): self._masked(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._masked(each) for each in value]
        if not isinstance(value, str):
            return value
        text = value.replace(self.tag, "<tag>")
        text = re.sub(r"\b[0-9a-f]{64}\b", "<id>", text)
        text = re.sub(r"\b(?:[0-9a-f]{12}|[0-9a-f]{20})\b", "<id12>", text)
        text = re.sub(r"\b[0-9a-z]{25}\b", "<id25>", text)
        text = re.sub(r"version=\d+", "version=<n>", text)
        text = re.sub(r"^/.*(?=/volumes/)", "<root>", text)
        return re.sub(r"(?<=127\.0\.0\.1:)\d{4,5}", "<port>", text)


def digest(answer: httpx.Response) -> Any:
    """What of an answer is compared: a refusal's text, else a document's shape."""
    if not answer.content:
        return None
    if "json" not in answer.headers.get("content-type", ""):
        return answer.text if answer.is_error or answer.text == "OK" else None
    if "/events" in str(answer.url):
        return None  # the events of others
    data = answer.json()
    return data["message"] if answer.is_error else shape(data)


def shape(value: Any) -> Any:
    """Keys and types; of a list, its first element."""
    if isinstance(value, dict):
        left_out = DIFFERENT_BY_MACHINE | NOT_READ
        return {key: shape(each) for key, each in sorted(value.items()) if key not in left_out}
    if isinstance(value, list):
        return [shape(each) for each in value[:1]]
    return type(value).__name__


def _port_words(ports: dict[str, Any]) -> dict[str, Any]:
    return {port: [each["HostIp"] for each in given] if given else given for port, given in ports.items()}


def differences(fake: Any, real: Any, where: str = "") -> list[str]:
    """Where two records differ, one line each."""
    if isinstance(fake, dict) and isinstance(real, dict):
        keys = sorted({*fake, *real})
        absent = "(absent)"
        pairs = [(fake.get(key, absent), real.get(key, absent), f"{where}.{key}") for key in keys]
    elif isinstance(fake, list) and isinstance(real, list) and len(fake) == len(real):
        pairs = [
            (one, other, f"{where}[{number}]")
            for number, (one, other) in enumerate(zip(fake, real, strict=True))
        ]
    else:
        return [] if fake == real else [f"{where}: {fake!r} != {real!r}"]
    return [line for one, other, place in pairs for line in differences(one, other, place)]
