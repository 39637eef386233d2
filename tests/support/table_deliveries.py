"""Containers as the Engine tells of them; an Engine whose events, lists and answers arrive when they like."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from asyncdockerspawner import errors
from asyncdockerspawner.client.changes import ContainerRequest, OnOutcome, Verb
from asyncdockerspawner.client.connection import Answer
from asyncdockerspawner.client.events import ContainerEvent
from asyncdockerspawner.engine.own_requests import OwnRequests
from asyncdockerspawner.engine.table import Change, Table
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.container import read
from asyncdockerspawner.workloads.observed import Observed
from asyncdockerspawner.workloads.source import Happened, Hint

OURS = {labels.HUB: "h", labels.USER: "u"}
ANY = "0.0.0.0"  # noqa: S104 - read, never bound


def event(action: str, ref: str = "a", **told: str) -> Hint:
    return read.hint(ContainerEvent(ref, action, {"name": "n", **OURS, **told}))


def inspected(ref: str = "a", *, port: int = 0, owner: Any = OURS, name: str = "n") -> Observed:
    """As read from `GET /containers/ID/json`; a `port` is that of one that runs."""
    return read.observed(document_of(ref, port=port, owner=owner, name=name))


def document_of(ref: str = "a", *, port: int = 0, owner: Any = OURS, name: str = "n") -> JsonObject:
    """As `GET /containers/ID/json`."""
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


def listed(ref: str = "a", *, port: int = 0, owner: Any = OURS, name: str = "n") -> Observed:
    """The same container as read from an entry of `GET /containers/json`."""
    return read.listed(entry_of(ref, port=port, owner=owner, name=name))


def entry_of(ref: str = "a", *, port: int = 0, owner: Any = OURS, name: str = "n") -> JsonObject:
    """As an entry of `GET /containers/json`."""
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
EPOCH = 1_700_000_000_000_000_000
"""When the Engine's clock began, in nanoseconds; it goes on by a microsecond with all that happens."""
LOST = errors.EngineLost("ask", "", "the connection broke")


def stamp(when: int) -> str:
    return f"2023-11-14T22:13:20.{when:06d}Z" if when else "0001-01-01T00:00:00Z"


@dataclass
class Made:
    """A container at the Engine."""

    name: str
    port: int = 0
    started: int = 0
    finished: int = 0


@dataclass
class Asked:
    """A request of our own: what came of it, and who is to hear that."""

    heard: OnOutcome
    outcome: Answer | BaseException
    what: tuple[str, str] = ("", "")
    """Which container was changed, and in what: its `life` or its `name`."""
    change: int = -1
    """The number of that change among those of its kind."""
    verb: Verb = Verb.INSPECT
    known: bool = False
    """Whether the table had it when that was asked for."""


class Deliveries:
    """An Engine whose events, lists and answers arrive when they like; each of them keeps its own order.

    Plays the watch by its rules: asks where it is told to, asks again where an answer is out of date, lists
    after it has subscribed, and replays after a list what came while that was under way. There is one
    container of each letter at a time; `c` was made by DockerSpawner, without our label.
    """

    def __init__(self) -> None:
        self.table = Table("h")
        self.engine: dict[str, Made] = {}
        self.numbers = itertools.count(1)
        self.ids = {letter: letter for letter in OWNERS}
        self.events: list[Hint] = []
        self.held: set[str] = set()
        self.questions: dict[str, int] = {}
        self.answers: dict[str, Observed | None] = {}
        self.own = OwnRequests(
            table=self.table,
            is_asked=self.questions.__contains__,
            recheck=self.ask,
            signal_exit=lambda _: None,
            notify=lambda _: None,
        )
        self.requests: list[Asked] = []
        self.changes: Counter[tuple[str, str]] = Counter()
        self.certain: dict[tuple[str, str], int] = {}
        """What we have asked for and got an answer to: the number of the last such change."""
        self.later: list[str] = []
        self.replay: list[Hint] | None = None
        self.snapshot: list[Observed] | None = None
        self.create("a")
        self.create("c")
        self.subscribe("")

    def shape(self, ref: str) -> Observed | None:
        found = self.document(ref)
        return None if found is None else read.observed(found)

    def document(self, ref: str) -> JsonObject | None:
        if (made := self.engine.get(ref)) is None:
            return None
        document = document_of(ref, owner=OWNERS[ref[0]], name=made.name, port=made.port)
        told = {"StartedAt": stamp(made.started), "FinishedAt": stamp(made.finished), "ExitCode": 0}
        return {**document, "State": {**document["State"], **told}}

    def emit(self, action: str, ref: str) -> None:
        time = EPOCH + next(self.numbers) * 1000
        told = {**OWNERS[ref[0]], "name": self.engine[ref].name}
        self.events.append(read.hint(ContainerEvent(ref, action, told, time)))
        self.changes[ref, "name" if action == "rename" else "life"] += 1

    def create(self, letter: str) -> None:
        if self.ids[letter] not in self.engine:
            ref = self.ids[letter] = f"{letter}{next(self.numbers)}"
            self.engine[ref] = Made(f"n{ref}")
            self.emit("create", ref)

    def run(self, letter: str) -> None:
        ref = self.ids[letter]
        if (made := self.engine.get(ref)) and not made.port:
            made.port = made.started = next(self.numbers)
            self.emit("start", ref)

    def flash(self, letter: str) -> None:
        """Run so shortly that the end has come before the Engine tells of the start."""
        ref = self.ids[letter]
        if (made := self.engine.get(ref)) and not made.port:
            made.started, made.finished = next(self.numbers), next(self.numbers)
            self.emit("start", ref)
            self.emit("die", ref)

    def die(self, letter: str) -> None:
        ref = self.ids[letter]
        if (made := self.engine.get(ref)) and made.port:
            made.port, made.finished = 0, next(self.numbers)
            self.emit("die", ref)

    def stop(self, letter: str) -> None:
        ref = self.ids[letter]
        if (made := self.engine.get(ref)) and made.port:
            self.emit("kill", ref)
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
            made.name = f"m{next(self.numbers)}"
            self.emit("rename", self.ids[letter])

    def request(self, verb: Verb, letter: str, act: Callable[[str], None]) -> None:
        """Ask something of the Engine, which does it at once and answers later; one after another."""
        ref = self.ids[letter]
        if ref not in self.engine or self.is_asked(ref):
            return
        made, what = self.engine[ref], (ref, "name" if verb is Verb.RENAME else "life")
        before, asked = self.changes[what], ContainerRequest(verb, ref)
        known = self.table.get(ref) is not None
        heard = self.own.asked(asked)
        act(letter)
        object.__setattr__(asked, "name", made.name)
        answer = Answer(304 if self.changes[what] == before else 204, None)
        self.requests.append(Asked(heard, answer, what, self.changes[what], verb, known))

    def is_asked(self, ref: str) -> bool:
        return any(each.what[0] == ref for each in self.requests)

    def run_on_request(self, letter: str) -> None:
        ref = self.ids[letter]
        if ref in self.engine and not self.engine[ref].port and not self.is_asked(ref):
            self.held.add(ref)
            hub_id = OWNERS[ref[0]].get(labels.HUB, "")
            self.table.expect(Observed(id=ref, name=self.engine[ref].name, hub_id=hub_id))
            self.request(Verb.START, letter, self.run)

    def stop_on_request(self, letter: str) -> None:
        self.request(Verb.STOP, letter, self.stop)

    def restart_on_request(self, letter: str) -> None:
        self.request(Verb.RESTART, letter, self.restart)

    def rename_on_request(self, letter: str) -> None:
        self.request(Verb.RENAME, letter, self.rename)

    def remove_on_request(self, letter: str) -> None:
        self.request(Verb.REMOVE, letter, self.remove)

    def look_on_request(self, letter: str) -> None:
        ref = self.ids[letter]
        heard = self.own.asked(ContainerRequest(Verb.INSPECT, ref))
        found = self.document(ref)
        missing = errors.ObjectNotFound("inspect", ref, "none", status=404)
        self.requests.append(Asked(heard, missing if found is None else Answer(200, found)))

    def lose_an_answer(self, _letter: str) -> None:
        if self.requests:
            self.requests[0].outcome, self.requests[0].change = LOST, -1

    def answer_the_requests(self, _letter: str) -> None:
        while self.requests:
            one = self.requests.pop(0)
            one.heard(one.outcome)
            # Where something else was told meanwhile, the Engine is asked; but a stop always counts at once.
            unclear = one.verb not in {Verb.STOP, Verb.REMOVE} and one.what[0] in self.questions
            unknown = not one.known and one.verb is Verb.RENAME
            if one.change == self.changes[one.what] and not unclear and not unknown:
                self.certain[one.what] = one.change

    def hold_or_let_go(self, letter: str) -> None:
        self.held ^= {self.ids[letter]}

    def deliver(self, _letter: str) -> None:
        if self.events:
            (self.apply if self.replay is None else self.replay.append)(self.events.pop(0))

    def apply(self, one: Hint) -> None:
        change, ref = self.table.take(one), one.observed.id
        if change is Change.STOPPED and ref in self.held:
            self.later.append(ref)
        elif change in {Change.UNCLEAR, Change.STOPPED} or (change is Change.STARTED and ref in self.held):
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
            self.table.begin_list()
            self.replay, self.filtered = [], not self.table.tracked

    def see_the_list(self, _letter: str) -> None:
        if self.replay is not None:
            seen = [ref for ref in self.engine if OWNERS[ref[0]] or not self.filtered]
            self.snapshot = [self.entry(ref) for ref in seen]

    def entry(self, ref: str) -> Observed:
        made = self.engine[ref]
        entry = entry_of(ref, owner=OWNERS[ref[0]], name=made.name, port=made.port)
        return read.listed(entry if made.started else {**entry, "State": "created"})

    def compare_the_list(self, _letter: str) -> None:
        for each in self.snapshot or ():
            self.table.compare(each)

    def give_the_list(self, _letter: str) -> None:
        if self.replay is not None and self.snapshot is not None:
            unclear = self.table.install(self.snapshot, held=self.held)
            for each in self.replay:
                self.apply(each)
            for ref in unclear:
                self.ask(ref)
            self.replay = self.snapshot = None

    def subscribe(self, _letter: str) -> None:
        # Without events, a late answer is not told from the last one's; and names are not compared.
        missed = [*self.events, *(self.replay or ())]
        if not self.requests and all(each.kind is not Happened.RENAMED for each in missed):
            self.events.clear()
            self.replay = self.snapshot = None
            self.begin_a_list("")

    def settle(self, _letter: str) -> None:
        self.answer_the_requests("")
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
        assert {ref for ref in self.engine if OWNERS[ref[0]]} <= {each.id for each in self.table}
        for found in self.table:
            truth = self.shape(found.id)
            assert truth is not None
            assert (found.name, found.runs) == (truth.name, truth.runs)
            # Until somebody asks for it, an address may be missing; it is never a former one.
            assert found.addresses in (None, truth.addresses)

    def check(self) -> None:
        """What we have done ourselves and got an answer to is never told otherwise, whatever comes late."""
        for (ref, kind), change in self.certain.items():
            found, truth = self.table.get(ref), self.shape(ref)
            # One that nobody has asked about yet is unknown, which is no lie; one that is gone has no name.
            if self.changes[ref, kind] != change or found is None or (kind == "name" and truth is None):
                continue
            assert truth is not None
            told = {"name": found.name, "life": found.runs}
            assert told[kind] == {"name": truth.name, "life": truth.runs}[kind]
