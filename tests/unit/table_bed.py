"""Containers as the Engine tells of them; an Engine whose events, lists and answers arrive when they like."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from asyncdockerspawner import labels, status
from asyncdockerspawner.client.events import ContainerEvent
from asyncdockerspawner.engine.table import Change, Table
from asyncdockerspawner.jsontypes import JsonObject

OURS = {labels.HUB: "h", labels.USER: "u"}
ANY = "0.0.0.0"  # noqa: S104 - read, never bound


def event(action: str, ref: str = "a", **told: str) -> ContainerEvent:
    return ContainerEvent(ref, action, {"name": "n", **OURS, **told})


def inspected(ref: str = "a", *, port: int = 0, owner: Any = OURS, name: str = "n") -> JsonObject:
    """As `GET /containers/ID/json`; a `port` is that of one that runs."""
    ports = {"8888/tcp": [{"HostIp": ANY, "HostPort": str(port)}]} if port else {}
    return {
        "Id": ref,
        "Name": f"/{name}",
        "Config": {"Labels": owner, "Env": []},
        "State": {"Running": bool(port), "Status": "running" if port else "exited"},
        "NetworkSettings": {
            "Networks": {"bridge": {"IPAddress": "10.0.0.1" if port else ""}},
            "Ports": ports,
        },
    }


def listed(ref: str = "a", *, port: int = 0, owner: Any = OURS, name: str = "n") -> JsonObject:
    """The same container as an entry of `GET /containers/json`."""
    ports = [{"PrivatePort": 8888, "PublicPort": port, "Type": "tcp", "IP": ANY}] if port else []
    return {
        "Id": ref,
        "Names": [f"/{name}"],
        "Labels": owner,
        "State": "running" if port else "exited",
        "Ports": ports,
        "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "10.0.0.1" if port else ""}}},
    }


OWNERS = {"a": OURS, "b": OURS, "c": {}}


class Deliveries:
    """An Engine whose events, lists and answers arrive when they like; each of them keeps its own order.

    Plays the watch by its rules: asks where it is told to, asks again where an answer is out of date, lists
    after it has subscribed, and replays after a list what came while that was under way. There is one
    container of each letter at a time; `c` was made by DockerSpawner, without our label.
    """

    def __init__(self) -> None:
        self.table = Table("h")
        self.engine: dict[str, dict[str, Any]] = {}
        self.numbers = itertools.count(1)
        self.ids = {letter: letter for letter in OWNERS}
        self.events: list[ContainerEvent] = []
        self.held: set[str] = set()
        self.questions: dict[str, int] = {}
        self.answers: dict[str, JsonObject | None] = {}
        self.starts: list[tuple[str, int]] = []
        self.later: list[str] = []
        self.replay: list[ContainerEvent] | None = None
        self.snapshot: list[JsonObject] | None = None
        self.create("a")
        self.create("c")
        self.subscribe("")

    def shape(self, ref: str, as_told: Callable[..., JsonObject] = inspected) -> JsonObject | None:
        return as_told(ref, owner=OWNERS[ref[0]], **self.engine[ref]) if ref in self.engine else None

    def emit(self, action: str, ref: str) -> None:
        self.events.append(ContainerEvent(ref, action, {**OWNERS[ref[0]], "name": self.engine[ref]["name"]}))

    def create(self, letter: str) -> None:
        if self.ids[letter] not in self.engine:
            ref = self.ids[letter] = f"{letter}{next(self.numbers)}"
            self.engine[ref] = {"name": f"n{ref}", "port": 0}
            self.emit("create", ref)

    def run(self, letter: str) -> None:
        ref = self.ids[letter]
        if ref in self.engine and not self.engine[ref]["port"]:
            self.engine[ref]["port"] = next(self.numbers)
            self.emit("start", ref)

    def run_on_request(self, letter: str) -> None:
        ref = self.ids[letter]
        if ref in self.engine and not self.engine[ref]["port"]:
            self.held.add(ref)
            self.table.expect(ref, self.engine[ref]["name"], OWNERS[ref[0]])
            self.starts.append((ref, self.table.version(ref)))
            self.run(letter)

    def answer_the_starts(self, _letter: str) -> None:
        while self.starts:
            self.table.started(*self.starts.pop(0))

    def die(self, letter: str) -> None:
        ref = self.ids[letter]
        if self.engine.get(ref, {}).get("port"):
            self.engine[ref]["port"] = 0
            self.emit("die", ref)

    def stop(self, letter: str) -> None:
        if self.engine.get(self.ids[letter], {}).get("port"):
            self.emit("kill", self.ids[letter])
            self.die(letter)

    def restart(self, letter: str) -> None:
        self.stop(letter)
        self.run(letter)

    def remove(self, letter: str) -> None:
        self.die(letter)
        if self.ids[letter] in self.engine:
            self.emit("destroy", self.ids[letter])
            del self.engine[self.ids[letter]]

    def rename(self, letter: str) -> None:
        if made := self.engine.get(self.ids[letter]):
            made["name"] = f"m{next(self.numbers)}"
            self.emit("rename", self.ids[letter])

    def hold_or_let_go(self, letter: str) -> None:
        self.held ^= {self.ids[letter]}

    def deliver(self, _letter: str) -> None:
        if self.events:
            (self.apply if self.replay is None else self.replay.append)(self.events.pop(0))

    def apply(self, one: ContainerEvent) -> None:
        change, ref = self.table.take(one), one.container_id
        if change is Change.STOPPED and ref in self.held:
            self.later.append(ref)
        elif change in {Change.MAYBE_ENDED, Change.STOPPED} or (
            change is Change.STARTED and ref in self.held
        ):
            self.ask(ref)

    def ask_now(self, _letter: str) -> None:
        if self.later:
            self.ask(self.later.pop(0))

    def find(self, letter: str) -> None:
        ref = self.ids[letter]
        if self.table.get(ref) is None:
            self.table.tracked |= set() if OWNERS[ref[0]] else {ref}
            self.ask(ref)

    def ask(self, ref: str) -> None:
        version = self.table.version(ref)
        if self.table.get(ref) is None:
            self.table.answer(ref, self.shape(ref), version)
        else:
            self.questions.setdefault(ref, version)

    def see_the_questions(self, letter: str) -> None:
        self.answers |= {ref: self.shape(ref) for ref in self.questions if ref[0] == letter}

    def give_the_answers(self, letter: str) -> None:
        for ref in [each for each in self.answers if each[0] == letter]:
            if not self.table.answer(ref, self.answers.pop(ref), self.questions.pop(ref)):
                self.ask(ref)

    def begin_a_list(self, _letter: str) -> None:
        if self.replay is None:
            self.replay, self.filtered = [], not self.table.tracked

    def see_the_list(self, _letter: str) -> None:
        if self.replay is not None:
            seen = [ref for ref in self.engine if OWNERS[ref[0]] or not self.filtered]
            self.snapshot = [each for ref in seen if (each := self.shape(ref, listed))]

    def give_the_list(self, _letter: str) -> None:
        if self.replay is not None and self.snapshot is not None:
            doubtful = self.table.install(self.snapshot, held=self.held)
            for each in self.replay:
                self.apply(each)
            for ref in doubtful:
                self.ask(ref)
            self.replay = self.snapshot = None

    def subscribe(self, _letter: str) -> None:
        # Without events, a start's late answer is not told from the last one's; and names are not compared.
        missed = [*self.events, *(self.replay or ())]
        if not self.starts and all(each.action != "rename" for each in missed):
            self.events.clear()
            self.replay = self.snapshot = None
            self.begin_a_list("")

    def settle(self, _letter: str) -> None:
        self.answer_the_starts("")
        if self.snapshot is None:
            self.see_the_list("")
        self.give_the_list("")
        while self.events:
            self.deliver("")
        while self.later:
            self.ask_now("")
        while self.questions:
            for letter in self.ids:
                self.see_the_questions(letter)
                self.give_the_answers(letter)
        assert {ref for ref in self.engine if OWNERS[ref[0]]} <= {each["Id"] for each in self.table}
        for found in self.table:
            truth = self.shape(found["Id"])
            assert truth is not None
            assert (found["Name"], status.is_running(found)) == (truth["Name"], status.is_running(truth))
            # Until somebody asks for it, an address may be missing; it is never a former one.
            assert found.get("NetworkSettings") in (None, truth["NetworkSettings"])
