"""Several devices of one person play offline and sync: a simulation with a seed.

The devices are those of the client package (`SaveQueue`), without its files and sockets. The
network loses requests and answers, delivers requests again much later, and comes and goes. Devices
crash and go on with what they had stored. Their clocks are wrong. People resolve conflicts, and
some take that back.

The server is either one in memory, which does what `rules.py` decides, or a real one over HTTP.
In the end, every device is connected, and it is checked that

- all devices have the same state as the server,
- every write that was acknowledged is a revision with exactly that state, and the current state
  comes from it,
- counters, sets and records are what all edits together make of them: none was lost, and none
  counted twice,
- nobody was asked about a field that one device alone had changed.
"""

import random
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

from playhall.errors import Json, RequestRefused
from playhall.saves import SaveQueue, SaveRequest
from server.domains.progression.saves import rules
from server.domains.progression.saves.rules import (
    NewRevision,
    OpenBranch,
    RevisionContent,
    WriteDecision,
)
from server.domains.progression.saves.states import canonicalise_state

T = TypeVar("T")

SLOT: Final = "slot"
START: Final[Json] = {"gold": 100, "lore": ["start", "old"], "best": 0, "chapter": {"name": "one"}}
# What is not named is asked for: `/chapter/name`, which devices seldom change.
MERGE: Final = {
    "/gold": "sum",
    "/lore": "union",
    "/best": "max",
    "/saved_at": "newest",
    "/notes/*": "newest",
}


class Diverged(AssertionError):
    """A simulation ended in a way that it must not."""


class Server(Protocol):
    """One slot on a server."""

    async def put(self, request: SaveRequest) -> Json:
        """Write; raise `RequestRefused`."""

    async def get(self) -> tuple[int, Json]:
        """Read the current revision and its state."""

    async def open_conflicts(self) -> list[str]:
        """List the open conflicts."""

    async def resolve(self, conflict_id: str, mutation_id: str, side: str) -> int:
        """Resolve a conflict; gives the new revision."""

    async def undo(self, conflict_id: str, mutation_id: str) -> bool:
        """Take a resolution back, if it is still current."""

    async def revision(self, revision: int) -> Json:
        """Read the state of a revision."""

    async def parents(self) -> dict[int, list[int]]:
        """Read the history."""


class MemorySaves:
    """A server in memory: one slot, by the same rules."""

    def __init__(self) -> None:
        self._rules = rules.merge_rules(MERGE)  # type: ignore[arg-type]  # they are literals
        first = NewRevision(1, (), "create", RevisionContent(canonicalise_state(START).state))
        self._revisions = {1: first}
        self._current = 1
        self._answers: dict[str, Json | RequestRefused] = {}
        self._open: dict[str, OpenBranch] = {}
        self._resolved: dict[str, tuple[OpenBranch, int]] = {}

    async def put(self, request: SaveRequest) -> Json:
        answer = self._answers.get(request.mutation_id)
        if answer is None:
            answer = self._answers[request.mutation_id] = self._written(request)
        if isinstance(answer, RequestRefused):
            raise answer
        return answer

    def _written(self, request: SaveRequest) -> Json | RequestRefused:
        parents = self._parents()
        branches = list(self._open.values())
        ancestor = rules.find_merge_base(parents, request.base, self._current, branches)
        decision = rules.decide_write(
            last_revision=max(self._revisions),
            current=self._current,
            ours=self._revisions[self._current].content,
            base=request.base,
            ancestor=ancestor,
            ancestor_state=None if ancestor is None else self._state(ancestor),
            theirs=RevisionContent(canonicalise_state(request.body["state"]).state),
            rules=self._rules,
            open_branches=branches,
        )
        return self._kept(decision)

    def _kept(self, decision: WriteDecision) -> Json | RequestRefused:
        for new in decision.revisions:
            self._revisions[new.revision] = new
        own = decision.own.revision
        if decision.head is None:
            conflict_id = decision.extends or f"conflict {own}"
            base = self._open[conflict_id].base if decision.extends else decision.base
            self._open[conflict_id] = OpenBranch(conflict_id, base, own)
            current = {"revision": self._current, "state": self._state(self._current)}
            return RequestRefused(
                "save_conflict", "", details={"revision": own, "current": current}
            )
        self._current = decision.head.revision
        if decision.closes is not None:
            self._resolved[decision.closes] = (self._open.pop(decision.closes), self._current)
        state = decision.head.content.state if decision.outcome == "merged" else None
        return {"revision": own, "current": self._current, "state": state}

    async def get(self) -> tuple[int, Json]:
        return self._current, self._state(self._current)

    async def open_conflicts(self) -> list[str]:
        return list(self._open)

    async def resolve(self, conflict_id: str, mutation_id: str, side: str) -> int:
        branch = self._open.pop(conflict_id)
        ours, theirs = self._state(self._current), self._state(branch.branch)
        base = None if branch.base is None else self._state(branch.base)
        merged = rules.merge(base, ours, theirs, self._rules)
        taken = merged.paths if side == "branch" else []
        state = rules.with_fields(theirs, merged.state, taken)
        number = self._advance((self._current, branch.branch), state)
        self._resolved[conflict_id] = (branch, number)
        return number

    async def undo(self, conflict_id: str, mutation_id: str) -> bool:
        branch, resolution = self._resolved[conflict_id]
        if resolution != self._current:
            return False
        before = self._revisions[resolution].parents[0]
        self._advance((resolution,), self._state(before))
        self._open[conflict_id] = branch
        del self._resolved[conflict_id]
        return True

    async def revision(self, revision: int) -> Json:
        return self._state(revision)

    async def parents(self) -> dict[int, list[int]]:
        return {number: list(parents) for number, parents in self._parents().items()}

    def _parents(self) -> dict[int, tuple[int, ...]]:
        return {number: new.parents for number, new in self._revisions.items()}

    def _state(self, revision: int) -> Json:
        return self._revisions[revision].content.state

    def _advance(self, parents: tuple[int, ...], state: Json) -> int:
        number = max(self._revisions) + 1
        self._revisions[number] = NewRevision(number, parents, "resolve", RevisionContent(state))
        self._current = number
        return number


@dataclass
class Device:
    """A device: its queue, its network, and a clock that is wrong."""

    name: str
    queue: SaveQueue
    clock_error_s: float
    is_online: bool = True
    acknowledged: dict[int, Json] = field(default_factory=dict)  # by revision


class Simulation:
    """A run of some steps, decided by a seed."""

    def __init__(self, seed: int, server: Server, *, devices: int, steps: int) -> None:
        self.chance = random.Random(seed)
        self._server = server
        self._steps = steps
        self._ids = 0
        self._devices = [self._device(number) for number in range(devices)]
        self._sent: list[SaveRequest] = []  # that the network may deliver again
        # How often the chapter is changed, where it might be; without that, there is no conflict.
        self._conflicting = self.chance.choice((0.0, 0.3, 1.0))
        # What the edits come to.
        self._gold = START["gold"]
        self._lore = set(START["lore"])
        self._best = 0
        self._authors: set[str] = set()  # who changed the chapter
        self.conflicts = 0

    def _device(self, number: int) -> Device:
        error_s = self.chance.uniform(-1e6, 1e6)
        return Device(f"d{number}", SaveQueue(f"d{number}", new_id=self._new_id), error_s)

    def _new_id(self) -> str:
        self._ids += 1
        return f"{self._ids:08x}-0000-4000-8000-{self.chance.getrandbits(48):012x}"

    async def run(self) -> None:
        """Run all steps, then let everything arrive, and check."""
        for device in self._devices:
            device.queue.update_from_server(SLOT, *await self._server.get())
        actions = [self._edit, self._send, self._pull, self._network, self._crash, self._again]
        weights = [10, 8, 3, 2, 1, 1]
        for step in range(self._steps):
            (action,) = self.chance.choices(actions, weights)
            await action(self.chance.choice(self._devices), step)
            if self.chance.random() < 0.1:
                await self._decide()
        await self._settle()
        await self._check()

    # ------------------------------------------------------------------ what happens

    async def _edit(self, device: Device, step: int) -> None:
        state = canonicalise_state(device.queue.state(SLOT)).state
        state = {**state, "lore": list(state["lore"]), "saved_at": step + device.clock_error_s}
        change = self.chance.randint(-5, 9)
        state["gold"] += change
        self._gold += change
        match self.chance.randrange(6):
            case 0:
                found = f"{device.name} {step}"
                state["lore"].append(found)
                self._lore.add(found)
            case 1 if "old" in state["lore"]:
                state["lore"].remove("old")
                self._lore.discard("old")
            case 2:
                state["best"] = max(state["best"], self.chance.randrange(1000))
                self._best = max(self._best, state["best"])
            case 3 | 5 if self.chance.random() < self._conflicting:
                state["chapter"] = {"name": self.chance.choice(("two", "three", "four"))}
                self._authors.add(device.name)
            case 4:
                notes = state.get("notes", {})
                state["notes"] = {**notes, self.chance.choice("ab"): step}
        device.queue.write(SLOT, state)

    async def _send(self, device: Device, _: int) -> None:
        if not device.is_online or (request := device.queue.next_request(SLOT)) is None:
            return
        self._store(device)
        self._sent.append(request)
        loss = self.chance.random()
        if loss < 0.1:
            return  # it never arrived
        await self._deliver(device, request, is_heard=loss >= 0.25)

    async def _deliver(self, device: Device, request: SaveRequest, *, is_heard: bool) -> None:
        try:
            answer = await self._server.put(request)
        except RequestRefused as error:
            if error.code != "save_conflict":
                raise Diverged(f"{error} to a write from {request.base}") from error
            self.conflicts += 1
            if is_heard and self._is_next(device, request):
                device.queue.on_refused(request, error)
                details = error.details or {}
                device.acknowledged[details["revision"]] = request.body["state"]
        else:
            if is_heard and self._is_next(device, request):
                device.queue.on_accepted(request, answer)
                device.acknowledged[answer["revision"]] = request.body["state"]
        self._store(device)

    def _is_next(self, device: Device, request: SaveRequest) -> bool:
        waiting = device.queue.next_request(SLOT)
        return waiting is not None and waiting.mutation_id == request.mutation_id

    async def _again(self, _: Device, __: int) -> None:
        """Deliver something that was sent before; nobody hears the answer."""
        if self._sent:
            try:
                await self._server.put(self.chance.choice(self._sent))
            except RequestRefused as error:
                if error.code != "save_conflict":
                    raise Diverged(str(error)) from error

    async def _pull(self, device: Device, _: int) -> None:
        if device.is_online:
            device.queue.update_from_server(SLOT, *await self._server.get())

    async def _network(self, device: Device, _: int) -> None:
        device.is_online = not device.is_online

    async def _crash(self, device: Device, _: int) -> None:
        self._store(device)  # writes are stored before they are said to be saved

    def _store(self, device: Device) -> None:
        """Go on with what is stored, as after a crash."""
        if self.chance.random() < 0.3:
            again = SaveQueue(device.name, new_id=self._new_id)
            again.load(device.queue.to_json())
            device.queue = again

    async def _decide(self) -> None:
        """Resolve a conflict; some people take that back at once."""
        if conflicts := await self._server.open_conflicts():
            conflict_id = self.chance.choice(conflicts)
            await self._resolve(conflict_id)
            if self.chance.random() < 0.4:
                await self._server.undo(conflict_id, self._new_id())

    async def _resolve(self, conflict_id: str) -> None:
        side = self.chance.choice(("current", "branch"))
        await self._server.resolve(conflict_id, self._new_id(), side)

    # ------------------------------------------------------------------ the end

    async def _settle(self) -> None:
        """Connect everybody, send everything, decide everything, and read it."""
        for device in self._devices:
            while (request := device.queue.next_request(SLOT)) is not None:
                await self._deliver(device, request, is_heard=True)
        while conflicts := await self._server.open_conflicts():
            await self._resolve(conflicts[0])
        for device in self._devices:
            device.queue.update_from_server(SLOT, *await self._server.get())

    async def _check(self) -> None:
        current, state = await self._server.get()
        for device in self._devices:
            _same(f"the state of {device.name}", device.queue.state(SLOT), state)
        history = await self._server.parents()
        come_from = rules_free_ancestors(history, current)
        for device in self._devices:
            for revision, sent in device.acknowledged.items():
                _same(f"revision {revision}", await self._server.revision(revision), sent)
                if revision not in come_from:
                    raise Diverged(f"the current state does not come from revision {revision}")
        if self.conflicts and len(self._authors) < 2:
            raise Diverged("somebody was asked about what only one device changed")
        _same("the counter", state["gold"], self._gold)
        _same("the set", set(state["lore"]), self._lore)
        _same("the record", state["best"], self._best)


def _same(what: str, found: Any, expected: Any) -> None:
    if found != expected:
        raise Diverged(f"{what} is {found}, and not {expected}")


def rules_free_ancestors(parents: dict[int, list[int]], revision: int) -> set[int]:
    """Collect what a revision comes from, without asking the code that is tested."""
    found = {revision}
    for number in sorted(parents, reverse=True):
        if number in found:
            found.update(parents[number])
    return found


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Run what waits for nothing, without an event loop."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # what the coroutine returned
    raise AssertionError("it waits for something")


def simulate(seed: int, server: Server | None = None) -> None:
    """Run one schedule in memory; raise `Diverged`."""
    chance = random.Random(seed)
    devices, steps = chance.randint(2, 4), chance.randint(10, 120)
    simulation = Simulation(seed, server or MemorySaves(), devices=devices, steps=steps)
    at_once(simulation.run())
