"""What every real-time game promises: a log of few events folds into the same game."""

import copy
from collections.abc import Iterator

import orjson
import pytest

from server.gamekit.chance import Chance, derive_seed
from server.gamekit.contract import Event, IllegalMove, Payload
from server.gamekit.fold import GameFold, GameOrigin
from server.gamekit.realtime import RealtimeRuleset, tick_event
from server.gamekit.table import (
    AFTER_TICK,
    TICK,
    SeatedPlayer,
    game_completed_event,
    game_created_event,
    presence_event,
)
from tests.contract.playout import canonical, written
from tests.contract.test_rulesets import JUNK, RULESETS, random_object

REALTIME = {name: each for name, each in RULESETS.items() if isinstance(each, RealtimeRuleset)}
TICKS_MAX = 100_000


@pytest.fixture(params=sorted(REALTIME))
def ruleset(request: pytest.FixtureRequest) -> RealtimeRuleset:
    return REALTIME[request.param]


@pytest.fixture(params=["fewest", "most"])
def seats(request: pytest.FixtureRequest, ruleset: RealtimeRuleset) -> int:
    return ruleset.seats[0 if request.param == "fewest" else -1]


class Session:
    """A real-time game as a server drives it: bots act, and only ticks with inputs are logged."""

    def __init__(self, ruleset: RealtimeRuleset, seats: int, seed: str) -> None:
        bots = sorted(ruleset.bots)
        players = tuple(
            SeatedPlayer(f"player-{seat}", bots[seat % len(bots)]) for seat in range(seats)
        )
        self.seed, self.ruleset = seed, ruleset
        self.origin = GameOrigin(ruleset, players, ruleset.config(), seed)
        self.fold = GameFold(self.origin)
        self.log: list[Event] = []
        self.looks: list[tuple[int, list[bytes], object]] = []  # after each event
        config = self.origin.config.model_dump()
        self.append(
            game_created_event(
                ruleset.name, ruleset.version, players, config, seed, leavers_rank_last=True
            )
        )
        for event in ruleset.setup(self.fold.state):
            self.append(event)

    def append(self, event: Event) -> None:
        """Log an event; afterwards the game is completed if the rules say so."""
        event.payload[AFTER_TICK] = self.fold.tick + (event.type == TICK)
        self.fold.apply(event)
        self.log.append(event)
        self.looks.append(look(self.fold))
        self.complete()

    def complete(self) -> None:
        outcome = self.fold.outcome()
        if outcome is not None and not self.fold.table.completed:
            self.append(game_completed_event(self.fold.table, outcome, self.seed))

    def inputs(self) -> list[tuple[int, int | None, Payload]]:
        """Ask the bots."""
        asked = []
        for seat, player in enumerate(self.origin.players):
            chance = Chance(derive_seed(self.seed, "bot", seat, self.fold.tick))
            view = {**self.ruleset.view(self.fold.state, seat), "seat": seat}
            move = self.ruleset.bots[player.bot](view, chance)
            if move is not None:
                asked.append((seat, None, move))
        return asked

    def ticks(self) -> Iterator[None]:
        """Let ticks pass until the game has ended."""
        every = self.ruleset.tick_hz // self.ruleset.patch_hz
        while not self.fold.table.completed:
            assert self.fold.tick < TICKS_MAX
            yield
            # Bots do nothing in between, so that there are ticks without inputs.
            inputs = self.inputs() if self.fold.tick % (every * 5) == 0 else []
            if inputs:
                self.append(tick_event(inputs))
            else:
                self.fold.advance_to(self.fold.tick + 1)
                self.complete()

    def play(self) -> "Session":
        for _ in self.ticks():
            pass
        return self


def look(fold: GameFold) -> tuple[int, list[bytes], object]:
    """See all that can be seen of a game."""
    viewers = [None, *range(len(fold.table.seats))]
    views = [canonical(fold.ruleset.view(fold.state, viewer)) for viewer in viewers]
    return fold.tick, views, fold.outcome()


def test_folding_the_stored_log_gives_the_same_game_at_every_event(
    ruleset: RealtimeRuleset, seats: int
) -> None:
    session = Session(ruleset, seats, "refold").play()
    assert len(session.log) < session.fold.tick / 2  # most ticks are not logged
    again = GameFold(session.origin)
    for index, each in enumerate(orjson.loads(written(session.log))):
        again.apply(Event(*each))
        assert look(again) == session.looks[index]
    assert again.table.completed


def test_same_seed_gives_the_same_log_to_the_byte(ruleset: RealtimeRuleset, seats: int) -> None:
    one, two = (Session(ruleset, seats, "twice").play().log for _ in range(2))
    assert written(one) == written(two)


def test_game_that_everybody_left_ends(ruleset: RealtimeRuleset, seats: int) -> None:
    session = Session(ruleset, seats, "left")
    for seat in range(seats):
        if not session.fold.table.completed:
            session.append(presence_event("player_left", session.fold.table, seat))
    session.play()


def test_view_is_not_changed_by_ticks_that_come_after_it(
    ruleset: RealtimeRuleset, seats: int
) -> None:
    session, kept = Session(ruleset, seats, "fresh"), []
    for number, _ in enumerate(session.ticks()):
        if number % 10 == 0:
            view = ruleset.view(session.fold.state, 0)
            kept.append((view, copy.deepcopy(view)))
    assert [1 for view, before in kept if view != before] == []


def test_viewers_with_one_viewpoint_see_the_same(ruleset: RealtimeRuleset, seats: int) -> None:
    session = Session(ruleset, seats, "viewpoints")
    for number, _ in enumerate(session.ticks()):
        if number % 20:
            continue
        seen: dict[object, bytes] = {}
        for viewer in (None, *range(seats)):
            point = ruleset.viewpoint(session.fold.state, viewer)
            view = canonical(ruleset.view(session.fold.state, viewer))
            assert seen.setdefault(point, view) == view


def test_input_that_is_none_is_refused_and_any_other_does_no_harm(
    ruleset: RealtimeRuleset, seats: int
) -> None:
    chance = Chance("junk")
    for raw in [*JUNK, *(random_object(chance) for _ in range(50))]:
        with pytest.raises(IllegalMove) as refused:
            ruleset.read_move(raw)
        assert len(str(refused.value)) > 10
    session = Session(ruleset, seats, "many")
    moves = [move for _, _, move in Session(ruleset, seats, "moves").inputs()]
    session.append(tick_event([(seat, None, move) for seat in range(seats) for move in moves * 8]))


def test_seed_is_in_no_view(ruleset: RealtimeRuleset, seats: int) -> None:
    session = Session(ruleset, seats, "c0ffee-seed-5ec2e7")
    for number, _ in enumerate(session.ticks()):
        if number % 20 == 0:
            assert not [v for v in look(session.fold)[1] if b"c0ffee-seed-5ec2e7" in v]


def test_inputs_of_others_are_hidden_while_the_game_runs(
    ruleset: RealtimeRuleset, seats: int
) -> None:
    event = tick_event([(seat, 1, {"secret": seat}) for seat in range(seats)])
    for viewer in (None, *range(seats)):
        shown = ruleset.redact(event, viewer)
        assert [each[0] for each in shown["inputs"]] == ([] if viewer is None else [viewer])
