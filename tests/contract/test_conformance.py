"""Every check finds a ruleset that breaks its promise, and says where and what to change."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import pytest

from server.gamekit.conformance import SEED, Failure, check_ruleset, list_questions
from server.gamekit.conformance.realtime import REALTIME_PROMISES
from server.gamekit.conformance.turns import TURN_PROMISES
from server.gamekit.contract import (
    Event,
    IllegalMove,
    Outcome,
    Ruleset,
    RulesetConfig,
    SeatMove,
    Standing,
    Timer,
    Turn,
)
from server.gamekit.realtime import RealtimeRuleset

ROUNDS = 3
CALLS = count()


class State:
    def __init__(self, setup: Any) -> None:
        self.players = list(setup.players)
        self.seed = setup.seed
        self.secrets: dict[int, str] = {}
        self.turn = 0
        self.left: set[int] = set()
        self.shown: list[list[str]] = []
        self.junk: Any = None
        self.at_ms = 0
        self.connected = True

    @property
    def over(self) -> bool:
        return self.turn >= ROUNDS or len(self.left) == len(self.players)

    def __repr__(self) -> str:
        return f"{vars(self)}"


class Pairs(Ruleset[State, str]):
    """A good game: in each turn both players pick a word that only they see until both have."""

    name, title, seats = "pairs", "Pairs", range(2, 3)
    bots: ClassVar[Any] = {"random": lambda view, chance: chance.choice(view["legal_moves"])}
    words = ("anvil", "bottle", "candle")

    def initial(self, setup: Any) -> State:
        return State(setup)

    def setup(self, state: State) -> list[Event]:
        return []

    def parse(self, raw: Any) -> str:
        if set(raw) == {"type", "word"} and raw["type"] == "pick" and raw["word"] in self.words:
            return str(raw["word"])
        raise IllegalMove("unknown_move", 'Send {"type": "pick", "word": "anvil"}.')

    def decide(self, state: State, seat: int, move: str) -> list[Event]:
        if state.over or seat in state.secrets:
            raise IllegalMove("not_your_turn", "You have picked, or the game has ended.")
        picked = {"seat": seat, "word": move, "_v": 1}
        events = [Event("picked", picked)]
        if len(state.secrets) == 1:
            shown = {**state.secrets, seat: move}
            events.append(Event("shown", {"words": [shown[0], shown[1]], "_v": 1}))
        return events

    def evolve(self, state: State, event: Event) -> None:
        if event.type == "picked":
            state.secrets[event.payload["seat"]] = event.payload["word"]
        elif event.type == "shown":
            state.shown.append(event.payload["words"])
            state.secrets = {}
            state.turn += 1
        elif event.type == "player_left":
            state.left.add(event.payload["seat"])

    def move_of(self, state: State, event: Event) -> SeatMove | None:
        if event.type != "picked":
            return None
        return SeatMove(event.payload["seat"], {"type": "pick", "word": event.payload["word"]})

    def redact(self, event: Event, viewer: int | None) -> Any:
        if event.type != "picked" or event.payload["seat"] == viewer:
            return event.payload
        return {key: value for key, value in event.payload.items() if key != "word"}

    def legal(self, state: State, viewer: int | None) -> Any:
        may = viewer is not None and not state.over and viewer not in state.secrets
        return [{"type": "pick", "word": word} for word in self.words] if may else []

    def view(self, state: State, viewer: int | None) -> Any:
        return {"shown": list(state.shown), "legal_moves": self.legal(state, viewer)}

    def to_act(self, state: State) -> Turn | None:
        waiting = tuple(seat for seat in range(2) if seat not in state.secrets)
        return None if state.over else Turn(waiting, state.turn, 10.0)

    def timeout_move(self, state: State, seat: int) -> Any:
        return {"type": "pick", "word": self.words[0]}

    def outcome(self, state: State) -> Outcome | None:
        return Outcome((Standing(0, 1, True), Standing(1, 0, False))) if state.over else None


def broken(**changes: Any) -> type[Ruleset[Any, Any]]:
    return type("Broken", (Pairs,), changes)


def changed(method: str, after: Callable[..., Any]) -> type[Ruleset[Any, Any]]:
    """Replace a method by one that gets what the good one gives, and its arguments."""
    good = getattr(Pairs, method)
    return broken(**{method: lambda self, *given: after(good(self, *given), *given)})


def also(method: str, do: Callable[..., Any]) -> type[Ruleset[Any, Any]]:
    """Do something more in a method."""

    def after(gave: Any, *given: Any) -> Any:
        do(*given)
        return gave

    return changed(method, after)


def renamed(kind: str, payload: Callable[[dict[str, Any]], Any] = lambda p: p) -> Any:
    """Replace the events `picked` by others that mean the same."""
    return changed(
        "decide",
        lambda events, *_: [
            Event(kind if each.type == "picked" else each.type, payload(each.payload))
            for each in events
        ],
    )


class LooseConfig(RulesetConfig):
    model_config: ClassVar[Any] = {"extra": "ignore"}


def note_time(state: State, event: Event) -> None:
    state.at_ms = event.at_ms


def note_pick(state: State, seat: int, move: str) -> None:
    state.junk = move


def note_connection(state: State, event: Event) -> None:
    if event.type == "player_disconnected":
        state.turn += 1


class NoTurnsAfterAll(Pairs):
    """Its timer goes off once; then nobody is to act, and it goes on."""

    reads_time = True

    def evolve(self, state: State, event: Event) -> None:
        note_time(state, event)
        if event.type == "bell":
            state.junk = "rung"
        super().evolve(state, event)

    def next_timer(self, state: State) -> Timer | None:
        return None if state.junk else Timer("bell", state.at_ms + 1000)

    def decide_timer(self, state: State, timer: Timer) -> list[Event]:
        return [Event("bell", {"_v": 1})]

    def to_act(self, state: State) -> Turn | None:
        return None if state.junk else super().to_act(state)


class LeaversAreStuck(Pairs):
    """Nobody can move for a seat whose player has left."""

    def decide(self, state: State, seat: int, move: str) -> list[Event]:
        if seat in state.left:
            raise IllegalMove("gone", "This player has left the game.")
        return super().decide(state, seat, move)


def show_junk(self: Pairs, state: State, viewer: int | None) -> Any:
    return {**Pairs.view(self, state, viewer), "junk": state.junk}


def show_time(self: Pairs, state: State, viewer: int | None) -> Any:
    return {**Pairs.view(self, state, viewer), "at": state.at_ms}


BROKEN: dict[str, tuple[type[Ruleset[Any, Any]], str]] = {
    "introduces_itself": (broken(name="_pairs"), "Begin it with a letter"),
    "configuration": (broken(config=LooseConfig), "takes a field that it does not have"),
    "ends": (
        changed("outcome", lambda gave, _: gave and Outcome(gave.standings[::-1])),
        "standings for the seats [1, 0]",
    ),
    "bots_play_alone": (
        broken(bots={"a": Pairs.bots["random"], "b": lambda view, chance: None}),
        "The bot b answers None",
    ),
    "same_seed": (
        renamed("picked", lambda payload: {**payload, "n": next(CALLS)}),
        "differ in event 1, picked",
    ),
    "refold": (
        type("Broken", (also("decide", note_pick),), {"view": show_junk}),
        "The game folded from its log is another one: the view of spectators was",
    ),
    "times_change_nothing": (
        type("Broken", (also("evolve", note_time),), {"view": show_time}),
        "Set reads_time = True",
    ),
    "events": (renamed("picked", lambda p: {"t": (1, 2), **p}), "Use lists instead of tuples"),
    "turn_numbers": (
        changed("to_act", lambda turn, _: turn and turn._replace(number=0)),
        "Give a new turn a new number",
    ),
    "deadline": (
        changed(
            "to_act",
            lambda turn, state: turn and turn._replace(timeout_s=10.0 - len(turn.seats)),
        ),
        "The deadline of turn",
    ),
    "legal_moves": (
        changed("legal", lambda legal, *_: [*legal, {"type": "pick", "word": "door"}]),
        "A legal move is refused: unknown_move",
    ),
    "decide_is_pure": (
        also("decide", note_pick),
        "Put what happens into events",
    ),
    "moves_verify": (
        changed("move_of", lambda move, *_: move and move._replace(seat=1 - move.seat)),
        "decided differently",
    ),
    "other_moves_refused": (
        broken(parse=lambda self, raw: raw.get("word") or Pairs.parse(self, raw)),
        "accepted that the view does not list",
    ),
    "hidden_stays_hidden": (
        changed("view", lambda view, state, _: {**view, "picks": list(state.secrets.values())}),
        "their view has it at view['picks'][0]",
    ),
    "unseen_moves": (
        changed(
            "view",
            lambda view, state, _: {**view, "n": sum(map(len, state.secrets.values()))},
        ),
        "and can by the view",
    ),
    "seed_is_secret": (
        changed("view", lambda view, state, _: {**view, "seed": state.seed}),
        "has the seed",
    ),
    "redact_changes_nothing": (
        also("redact", lambda event, viewer: event.payload.update(seen=str(viewer))),
        "redact changes the payload",
    ),
    "timeouts_end_it": (
        changed("timeout_move", lambda move, *_: {**move, "word": "door"}),
        "none of its legal_moves",
    ),
    "everybody_leaves": (
        changed("outcome", lambda gave, state: None if state.left else gave),
        "everybody has left",
    ),
    "leavers_win_nothing": (LeaversAreStuck, "A move that the server would make is refused: gone"),
    "presence_changes_no_turn": (
        also("evolve", note_connection),
        "player_disconnected changes the turn",
    ),
    "timers_end": (NoTurnsAfterAll, "All timers have gone off"),
}  # fmt: skip


class Runner(RealtimeRuleset[Any, Any]):
    """A good game: whoever has gone further after two seconds wins."""

    name, title, seats = "runner", "Runner", range(1, 3)
    bots: ClassVar[Any] = {
        "runner": lambda view, chance: {"type": "go"} if view["far"][0] % 40 < 20 else None
    }

    def initial(self, setup: Any) -> Any:
        return {"seed": setup.seed, "tick": 0, "far": [0] * len(setup.players), "boost": 0}

    def parse(self, raw: Any) -> Any:
        if raw == {"type": "go"}:
            return raw
        raise IllegalMove("unknown_move", 'Send {"type": "go"} to go on.')

    def step(self, state: Any, inputs: Any) -> None:
        state["tick"] += 1
        for seat in range(len(state["far"])):
            state["far"][seat] += 1
        for seat, _ in inputs:
            state["far"][seat] += 2

    def evolve(self, state: Any, event: Event) -> None:
        pass

    def view(self, state: Any, viewer: int | None) -> Any:
        return {"far": list(state["far"]), "tick": state["tick"]}

    def viewpoint(self, state: Any, viewer: int | None) -> Any:
        return None

    def outcome(self, state: Any) -> Outcome | None:
        if state["tick"] < 40:
            return None
        return Outcome(tuple(Standing(seat, far, False) for seat, far in enumerate(state["far"])))


def broken_runner(**changes: Any) -> type[Ruleset[Any, Any]]:
    return type("BrokenRunner", (Runner,), changes)


def step_with_chance(self: Runner, state: Any, inputs: Any) -> None:
    Runner.step(self, state, inputs)
    state["far"][0] += next(CALLS) % 7


def redact_nothing(self: Runner, event: Event, viewer: int | None) -> Any:
    return event.payload


BROKEN_REALTIME: dict[str, tuple[type[Ruleset[Any, Any]], str]] = {
    "introduces_itself": (broken_runner(seats=range(1, 4, 2)), "Use a range without gaps"),
    "configuration": (broken_runner(config=LooseConfig), "a field that it does not have"),
    "refold": (broken_runner(step=step_with_chance), "is at tick"),
    "ends": (
        broken_runner(outcome=lambda self, state: Outcome(()) if state["tick"] > 40 else None),
        "standings for the seats []",
    ),
    "same_seed": (
        broken_runner(
            bots={"drunk": lambda view, chance: {"type": "go"} if next(CALLS) % 3 else None}
        ),
        "Two games with the same seed differ in",
    ),
    "everybody_leaves": (
        broken_runner(
            evolve=lambda self, state, event: (
                state.update(tick=-(10**9)) if event.type == "player_left" else None
            )
        ),
        "has not ended after 100000 ticks",
    ),
    "fresh_views": (
        broken_runner(view=lambda self, state, viewer: {"far": state["far"], "tick": 0}),
        "A view changed after it was drawn",
    ),
    "viewpoints": (
        broken_runner(view=lambda self, state, viewer: {"far": [viewer or 0], "tick": 0}),
        "have the viewpoint None",
    ),
    "inputs": (broken_runner(parse=lambda self, raw: raw), "parse accepts what is no input"),
    "seed_is_secret": (
        broken_runner(view=lambda self, state, _: {"far": [0], "seed": state["seed"]}),
        "A view has the seed",
    ),
    "inputs_hidden": (broken_runner(redact=redact_nothing), "sees the inputs of the seats [0"),
}

CASES = [
    pytest.param(name, *case, id=f"{rules}-{name}")
    for rules, cases in (("turns", BROKEN), ("ticks", BROKEN_REALTIME))
    for name, case in cases.items()
]


def made(kind: type[Ruleset[Any, Any]]) -> Ruleset[Any, Any]:
    kind.__module__ = f"server.rulesets.{Runner.name if issubclass(kind, Runner) else Pairs.name}"
    return kind()


def failure_of(ruleset: Ruleset[Any, Any], promise: str) -> Failure:
    [question] = [each for each in list_questions(ruleset) if each.promise.name == promise]
    failure = question.find_failure(SEED)
    assert failure is not None, f"{promise} holds"
    return failure


@pytest.mark.parametrize("good", [Pairs, Runner])
def test_good_ruleset_keeps_every_promise(good: type[Ruleset[Any, Any]]) -> None:
    assert [failure.explain() for failure in check_ruleset(made(good))] == []


def test_every_promise_is_broken_once() -> None:
    assert set(BROKEN) == {each.name for each in TURN_PROMISES}
    assert set(BROKEN_REALTIME) == {each.name for each in REALTIME_PROMISES}


@pytest.mark.parametrize(("promise", "kind", "said"), CASES)
def test_broken_promise_is_explained(
    promise: str, kind: type[Ruleset[Any, Any]], said: str
) -> None:
    failure = failure_of(made(kind), promise)
    explained = failure.explain(Path("games/broken"))
    assert said in explained
    assert f"--only {promise} --seats {failure.seats} --seed {SEED} --log" in explained
    assert len(failure.remedy) > 10
    if promise not in ("introduces_itself", "configuration"):
        assert f"{failure.game_seed!r}" in explained
        assert failure.game_seed.startswith(f"{SEED}/")
        assert failure.event_index == len(failure.log) - 1
        assert f"after event {failure.event_index} ({failure.event_type})" in explained


def test_failure_names_the_move_and_is_found_again_by_what_it_names() -> None:
    ruleset = made(BROKEN["other_moves_refused"][0])
    one, two = (failure_of(ruleset, "other_moves_refused") for _ in range(2))
    assert one == two
    assert one.move is not None
    assert f"of seat {one.seat}" in one.explain()


def test_rules_that_raise_are_explained_with_their_place() -> None:
    def evolve(self: Pairs, state: State, event: Event) -> None:
        raise KeyError("no such thing")

    failure = failure_of(made(broken(evolve=evolve)), "ends")
    assert "KeyError: 'no such thing'" in failure.problem
    assert "Only parse and decide may raise" in failure.remedy


@pytest.mark.parametrize("kind", [SystemExit, GeneratorExit])
def test_rules_that_exit_end_no_check(kind: type[BaseException]) -> None:
    def view(self: Pairs, state: State, viewer: int | None) -> Any:
        raise kind

    assert kind.__name__ in failure_of(made(broken(view=view)), "refold").problem


def test_game_without_an_end_is_found() -> None:
    failure = failure_of(made(changed("outcome", lambda *_: None)), "ends")
    assert "the game has not ended, although" in failure.problem
