"""What a real-time game promises: a log of few events folds into the same game."""

import copy
from collections.abc import Callable
from typing import Final

import orjson

from server.gamekit.chance import Chance
from server.gamekit.conformance.playout import BrokenPromise, canonical, look_at, written
from server.gamekit.conformance.promise import Promise, Trial, write_json
from server.gamekit.conformance.turns import (
    JUNK,
    REFUSAL_CHARS_MIN,
    TURN_PROMISES,
    name_viewer,
    random_object,
)
from server.gamekit.contract import Event, IllegalMove
from server.gamekit.fold import GameFold
from server.gamekit.realtime import tick_event
from server.gamekit.table import presence_event

# What is asked of a game whether it has turns or ticks.
_SHARED: Final = ("introduces_itself", "configuration")
REALTIME_PROMISES: Final[list[Promise]] = [each for each in TURN_PROMISES if each.name in _SHARED]


def promise(
    name: str, sentence: str
) -> Callable[[Callable[[Trial], None]], Callable[[Trial], None]]:
    """Add the check below to the promises."""

    def add(check: Callable[[Trial], None]) -> Callable[[Trial], None]:
        REALTIME_PROMISES.append(Promise(name, sentence, check, lambda _: None))
        return check

    return add


@promise("refold", "Folding the stored log gives the same game after every event.")
def _refold(trial: Trial) -> None:
    session = trial.realtime("refold").play()
    if len(session.log) >= session.fold.tick / 2:
        raise BrokenPromise(
            "Most ticks of the game are logged.",
            "Let bots return None when they have nothing new to do.",
        )
    again = GameFold(session.origin)
    for index, (each, then) in enumerate(
        zip(orjson.loads(written(session.log)), session.looks, strict=True)
    ):
        again.apply(Event(*each))
        now = look_at(again)
        if now != then:
            raise BrokenPromise(
                f"After event {index}, the game folded from its log is at tick {now[0]} and was "
                f"at {then[0]}, or looks different: {_first_difference(then[1], now[1])}.",
                "Let step depend on the state and the inputs only: integers instead of floats, "
                "chance from the seed, nothing kept outside the state.",
            )
    if not again.table.completed:
        raise BrokenPromise("The folded log has no end.", "Do not end a game in view.")


def _first_difference(then: list[bytes], now: list[bytes]) -> str:
    for viewer, (one, two) in enumerate(zip(then, now, strict=False)):
        if one != two:
            whom = name_viewer(viewer - 1 if viewer else None)
            return f"{whom} saw {_short(one)} and sees {_short(two)}"
    return "the outcome"


def _short(view: bytes) -> str:
    return write_json(orjson.loads(view))


@promise("ends", "Games of its bots end, with a standing for each seat.")
def _ends(trial: Trial) -> None:
    outcome = trial.realtime("ends").play().fold.outcome()
    assert outcome is not None
    seats = [standing.seat for standing in outcome.standings]
    if seats != list(range(trial.seats)):
        raise BrokenPromise(
            f"outcome has standings for the seats {seats}.",
            f"Give one Standing for each seat from 0 to {trial.seats - 1}, in this order.",
        )


@promise("same_seed", "The same seed and the same inputs give the same log, to the byte.")
def _same_seed(trial: Trial) -> None:
    one, two = (trial.realtime("twice").play().log for _ in range(2))
    for index, (first, second) in enumerate(zip(one, two, strict=False)):
        if written([first]) != written([second]):
            raise BrokenPromise(
                f"Two games with the same seed differ in event {index}, {first.type}: "
                f"{write_json(first.payload)} and {write_json(second.payload)}.",
                "Take all chance from setup.seed, and keep nothing outside the state.",
            )
    if len(one) != len(two):
        raise BrokenPromise("Two games with the same seed differ in length.", "As above.")


@promise("everybody_leaves", "A game that everybody left ends.")
def _everybody_leaves(trial: Trial) -> None:
    session = trial.realtime("left")
    for seat in range(trial.seats):
        if not session.fold.table.completed:
            session.append(presence_event("player_left", session.fold.table, seat))
    session.play()


@promise("fresh_views", "A view is not changed by the ticks that come after it.")
def _fresh_views(trial: Trial) -> None:
    session, kept = trial.realtime("fresh"), []
    for number, _ in enumerate(session.ticks()):
        if number % 10 == 0:
            view = trial.ruleset.view(session.fold.state, 0)
            kept.append((view, copy.deepcopy(view)))
    for view, before in kept:
        if view != before:
            raise BrokenPromise(
                f"A view changed after it was drawn: {write_json(before)} is {write_json(view)}.",
                "Build it from fresh values: list(...), dict(...), and no object of the state.",
            )


@promise("viewpoints", "Viewers with one viewpoint see the same.")
def _viewpoints(trial: Trial) -> None:
    session = trial.realtime("viewpoints")
    for number, _ in enumerate(session.ticks()):
        if number % 20:
            continue
        seen: dict[object, tuple[bytes, int | None]] = {}
        for viewer in (None, *range(trial.seats)):
            point = trial.ruleset.viewpoint(session.fold.state, viewer)
            view = canonical(trial.ruleset.view(session.fold.state, viewer))
            first, other = seen.setdefault(point, (view, viewer))
            if first != view:
                raise BrokenPromise(
                    f"{name_viewer(other)} and {name_viewer(viewer)} have the viewpoint {point!r}, "
                    f"and see {_short(first)} and {_short(view)}.",
                    "Let viewpoint give different values for viewers who see different things.",
                )


@promise("inputs", "What is no input is refused in a sentence; any other does no harm.")
def _inputs(trial: Trial) -> None:
    chance = Chance(trial.derived("junk"))
    session = trial.realtime("many")
    for raw in [*JUNK, *(random_object(chance) for _ in range(50))]:
        session.tried = 0, raw
        try:
            trial.ruleset.read_move(raw)
        except IllegalMove as refused:
            if len(refused.message) <= REFUSAL_CHARS_MIN:
                raise BrokenPromise(
                    f"An input is refused with the message {refused.message!r}.",
                    "Say in a sentence what an input looks like.",
                ) from None
        else:
            raise BrokenPromise(
                "parse accepts what is no input.",
                'Raise IllegalMove("unknown_move", "…") for all but the inputs of your game.',
            )
    session.tried = None
    moves = [move for _, _, move in trial.realtime("moves").inputs()]
    trial.game = session
    session.append(
        tick_event([(seat, None, move) for seat in range(trial.seats) for move in moves * 8])
    )


@promise("seed_is_secret", "The seed is in no view.")
def _seed_is_secret(trial: Trial) -> None:
    session = trial.realtime("c0ffee-seed-5ec2e7")
    seed = canonical(session.seed)[1:-1]
    for number, _ in enumerate(session.ticks()):
        for view in look_at(session.fold)[1] if number % 20 == 0 else ():
            if seed in view:
                raise BrokenPromise("A view has the seed.", "Leave it out of the view.")


@promise("inputs_hidden", "The inputs of others are hidden while the game runs.")
def _inputs_hidden(trial: Trial) -> None:
    trial.realtime("inputs")
    event = tick_event([(seat, 1, {"secret": seat}) for seat in range(trial.seats)])
    for viewer in (None, *range(trial.seats)):
        shown = trial.ruleset.redact(event, viewer)
        seats = [each[0] for each in (shown or {}).get("inputs", ())]
        if not set(seats) <= {viewer}:
            raise BrokenPromise(
                f"{name_viewer(viewer)} sees the inputs of the seats {seats}.",
                "Do not override redact, or show a viewer their own inputs only.",
            )
