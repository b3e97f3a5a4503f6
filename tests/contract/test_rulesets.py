"""What every game promises, whichever it is.

Runs on every folder under `server/rulesets/`, and under the directories in the
environment's `PLAYHALL_RULESETS_PATH` (separated as in `PATH`).
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from server.gamekit.chance import Chance
from server.gamekit.contract import Event, IllegalMove, Payload, Ruleset, Turn, Viewer
from server.gamekit.fold import AnyRuleset
from server.gamekit.realtime import RealtimeRuleset
from server.gamekit.table import AT, CMD
from server.rulesets import find_rulesets
from tests.contract.playout import Playout, Snapshot, canonical, refold, written

EXTRA = [Path(p) for p in os.environ.get("PLAYHALL_RULESETS_PATH", "").split(os.pathsep) if p]
RULESETS = find_rulesets(*EXTRA)
OPEN_MOVES = 60  # a game that allows any move is ended after so many, by everybody's leaving
REFUSED_SAMPLE = 12

JUNK: list[Payload] = [
    {},
    {"type": None},
    {"type": ""},
    {"type": "nonsense"},
    {"type": ["bid"]},
    {"type": {"type": "bid"}},
    {"move": 1},
    {"type": "\u0000"},
]


VERSIONS = {
    rules.name if rules is newest else f"{rules.name} {rules.version}": rules
    for newest in RULESETS.values()
    for rules in (newest, *newest.earlier)
    if not isinstance(newest, RealtimeRuleset)  # of which `test_realtime` asks the same
}


@pytest.fixture(params=sorted(VERSIONS))
def ruleset(request: pytest.FixtureRequest) -> AnyRuleset:
    return VERSIONS[request.param]


@pytest.fixture(params=["fewest", "most"])
def seats(request: pytest.FixtureRequest, ruleset: AnyRuleset) -> int:
    return ruleset.seats[0 if request.param == "fewest" else -1]


def steps(playout: Playout) -> Iterator[None]:
    """Play to the end, pausing before every move; afterwards the game is completed."""
    chance = Chance(f"{playout.seed}:steps")
    playout.start()
    for _ in range(OPEN_MOVES):
        if playout.completed:
            return
        yield
        seat = playout.to_act()
        if seat is None:
            anyone = chance.below(len(playout.origin.players))
            playout.act(anyone, random_object(chance))
        else:
            yield from playing(playout)
    leave_all(playout)
    yield from playing(playout)


def playing(playout: Playout) -> Iterator[None]:
    """Let the bots, or the clock where there are none, play while it is anybody's turn."""
    while (seat := playout.to_act()) is not None:
        if playout.origin.players[seat].bot is None:
            playout.time_out()
        else:
            playout.act(seat, playout.bot_move(seat))
        yield


def leave_all(playout: Playout) -> None:
    for seat, occupant in enumerate(playout.fold.table.seats):
        if occupant.present and not playout.completed:
            playout.presence("player_left", seat)


def finished(playout: Playout) -> Playout:
    for _ in steps(playout):
        pass
    assert playout.completed
    return playout


def random_object(chance: Chance, depth: int = 3) -> Payload:
    return {f"k{chance.below(9)}": random_json(chance, depth) for _ in range(chance.below(4))}


def random_json(chance: Chance, depth: int) -> Any:
    leaves = (None, True, chance.below(1000), -0.5, "text", "ü\u0000")
    kind = chance.below(len(leaves) + (2 if depth else 0))
    if kind < len(leaves):
        return leaves[kind]
    if kind == len(leaves):
        return [random_json(chance, depth - 1) for _ in range(chance.below(3))]
    return random_object(chance, depth - 1)


def texts_in(value: Any) -> Counter[str]:
    """Count the texts in a value, keys included."""
    counts: Counter[str] = Counter()
    if isinstance(value, str):
        counts[value] += 1
    children: Iterable[Any] = value if isinstance(value, list | tuple) else ()
    if isinstance(value, dict):
        counts.update(value.keys())
        children = value.values()
    for child in children:
        counts.update(texts_in(child))
    return counts


# ------------------------------------------------------------------ being a ruleset


def test_folder_is_named_as_its_game(ruleset: AnyRuleset) -> None:
    assert type(ruleset).__module__.split(".")[2] == ruleset.name


def test_ruleset_introduces_itself(ruleset: AnyRuleset) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", ruleset.name)
    assert ruleset.title.strip()
    assert ruleset.version >= 1
    assert ruleset.seats.step == 1
    assert 1 <= ruleset.seats[0] <= ruleset.seats[-1] <= 64


def test_configuration_has_defaults_and_refuses_unknown_fields(ruleset: AnyRuleset) -> None:
    defaults = ruleset.config().model_dump()
    assert ruleset.config() == ruleset.config.model_validate_json(canonical(defaults))
    with pytest.raises(ValidationError):
        ruleset.config.model_validate({**defaults, "no_such_field": 1})


# ------------------------------------------------------------------ a game and its log


@pytest.mark.parametrize("seed", ["a", "b", "c"])
def test_playout_ends_with_a_standing_for_each_seat(
    ruleset: AnyRuleset, seats: int, seed: str
) -> None:
    outcome = finished(Playout(ruleset, seats, seed)).fold.outcome()
    assert outcome is not None
    assert list(range(seats)) == [standing.seat for standing in outcome.standings]
    orjson.dumps(outcome.rounds)


def test_each_bot_plays_alone_to_the_end(ruleset: AnyRuleset, seats: int) -> None:
    for name in ruleset.bots:
        finished(Playout(ruleset, seats, "alone", bots=(name,)))


def test_same_seed_gives_the_same_log(ruleset: AnyRuleset, seats: int) -> None:
    one, two = (finished(Playout(ruleset, seats, "twice")).log for _ in range(2))
    assert written(one) == written(two)


def test_folding_the_stored_log_gives_the_same_game_at_every_event(
    ruleset: AnyRuleset, seats: int
) -> None:
    live: list[tuple[Snapshot, int | None]] = []
    playout = Playout(ruleset, seats, "refold")
    playout.watch = lambda _: live.append(look(playout))
    finished(playout)
    stored = [Event(*each) for each in orjson.loads(written(playout.log))]
    again = refold(playout, [])
    for index, event in enumerate(stored):
        again.fold.apply(event)
        assert live[index] == look(again)


def test_times_of_events_change_nothing_unless_the_rules_read_them(
    ruleset: AnyRuleset, seats: int
) -> None:
    if ruleset.reads_time:
        pytest.skip(f"{ruleset.name} reads the time")
    playout = finished(Playout(ruleset, seats, "times"))
    again = refold(playout, [event._replace(at_ms=0) for event in playout.log])
    assert playout.snapshot()._replace(state="") == again.snapshot()._replace(state="")


def look(playout: Playout) -> tuple[Snapshot, int | None]:
    # Two folds hold equal values, but their representations need not be the same text.
    return playout.snapshot()._replace(state=""), playout.fold.deadline_ms


def test_every_event_is_lowercase_versioned_json(ruleset: AnyRuleset, seats: int) -> None:
    for kind, payload, _ in finished(Playout(ruleset, seats, "shape")).log:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", kind)
        assert payload["_v"] >= 1
        assert payload == orjson.loads(canonical(payload))


def test_no_two_turns_share_a_number(ruleset: AnyRuleset, seats: int) -> None:
    playout, seen = Playout(ruleset, seats, "turns"), set[int]()
    last: Turn | None = None
    for _ in steps(playout):
        turn = playout.fold.turn
        if turn is None:
            continue
        if last is None or turn.number != last.number:
            assert turn.number not in seen
        elif turn != last:  # some of its seats have moved, and nothing else is different
            assert set(turn.seats) < set(last.seats)
            assert turn.timeout_s == last.timeout_s
        seen.add(turn.number)
        last = turn


def test_deadline_stays_while_some_seats_of_a_turn_have_moved(
    ruleset: AnyRuleset, seats: int
) -> None:
    playout, deadlines = Playout(ruleset, seats, "deadlines"), dict[int, int | None]()
    for _ in steps(playout):
        if (turn := playout.fold.turn) is not None:
            assert deadlines.setdefault(turn.number, playout.fold.deadline_ms) == (
                playout.fold.deadline_ms
            )


# ------------------------------------------------------------------ moves


def test_legal_moves_are_accepted_and_bots_make_them(ruleset: AnyRuleset, seats: int) -> None:
    playout = Playout(ruleset, seats, "legal")
    for _ in steps(playout):
        if (seat := playout.to_act()) is None:
            continue
        legal = playout.view(seat)["legal_moves"]
        assert legal
        assert [move for move in legal if playout.refusal(seat, move)] == []
        if playout.origin.players[seat].bot:
            assert playout.bot_move(seat) in legal


def test_deciding_changes_nothing(ruleset: AnyRuleset, seats: int) -> None:
    playout = Playout(ruleset, seats, "pure")
    for _ in steps(playout):
        before, seat = playout.snapshot(), playout.to_act() or 0
        for move in [*(playout.view(seat)["legal_moves"] or [])[:2], *JUNK]:
            playout.refusal(seat, move)
        assert before == playout.snapshot()


def test_deciding_a_recorded_move_again_gives_the_same_events(
    ruleset: AnyRuleset, seats: int
) -> None:
    if type(ruleset).move_of is Ruleset.move_of:
        pytest.skip(f"{ruleset.name} does not derive its moves from its events")
    playout = finished(Playout(ruleset, seats, "again"))
    again, log = refold(playout, playout.log[:1]), playout.log
    decided = ruleset.setup(again.fold.state)
    for index, event in enumerate(log[1:], start=1):
        if not decided and (moved := ruleset.move_of(again.fold.state, event)) is not None:
            decided = ruleset.decide(again.fold.state, moved.seat, ruleset.parse(moved.move))
            recorded = log[index : index + len(decided)]
            assert [decision(each) for each in decided] == [decision(each) for each in recorded]
        if event.type not in ("player_left", "game_completed"):  # the table's own
            assert event.type == decided.pop(0).type
        again.fold.apply(event)


def decision(event: Event) -> bytes:
    """Write what the rules decided of an event, without what the server adds."""
    return canonical(
        [event.type, {key: v for key, v in event.payload.items() if key not in (AT, CMD)}]
    )


def test_every_other_move_is_refused(ruleset: AnyRuleset, seats: int) -> None:
    chance, playout = Chance("others"), Playout(ruleset, seats, "others")
    pool = move_pool(ruleset, seats)
    for _ in steps(playout):
        seat, anyone = playout.to_act(), chance.below(seats)
        for other in {anyone, anyone if seat is None else seat}:
            assert_only_legal_moves_pass(playout, other, pool, chance)
    for seat in range(seats):
        assert playout.view(seat)["legal_moves"] == []
        assert_only_legal_moves_pass(playout, seat, pool, chance)


def assert_only_legal_moves_pass(
    playout: Playout, seat: int, pool: list[Payload], chance: Chance
) -> None:
    legal_moves = playout.view(seat)["legal_moves"]
    if legal_moves is None:
        return
    # Compared as text, because to Python 1, 1.0 and True are the same.
    legal = {canonical(move) for move in legal_moves}
    for move in chance.shuffled(pool)[:REFUSED_SAMPLE]:
        if canonical(move) not in legal:
            refusal = playout.refusal(seat, move)
            assert refusal is not None, f"seat {seat} may not {move}"
            assert_helpful(refusal)


def assert_helpful(refusal: IllegalMove) -> None:
    assert re.fullmatch(r"[a-z][a-z_]*", refusal.code)
    assert len(refusal.message) > 10


def move_pool(ruleset: AnyRuleset, seats: int) -> list[Payload]:
    """Collect moves that were legal at some time, spoilt moves, and junk."""
    playout, moves = Playout(ruleset, seats, "pool"), {}
    for _ in steps(playout):
        seat = playout.to_act()
        for move in playout.view(seat)["legal_moves"] if seat is not None else []:
            moves[canonical(move)] = move
    spoilt = [bad for move in list(moves.values())[:20] for bad in spoil(move)]
    return [*moves.values(), *spoilt, *JUNK]


def spoil(move: Payload) -> Iterator[Payload]:
    yield {**move, "extra": 1}
    for key in move:
        yield {k: value for k, value in move.items() if k != key}
        for wrong in (None, True, -1, 10**9, 1.0, "", "x", [], [move[key]], {"": move[key]}):
            yield {**move, key: wrong}


# ------------------------------------------------------------------ what is hidden


def test_hidden_text_is_in_no_view_and_no_event_until_it_is_shown(
    ruleset: AnyRuleset, seats: int
) -> None:
    playout = Playout(ruleset, seats, "hidden")
    # For each viewer, the texts that an event hid from them: how often they could see each at
    # that time, because it is also a word of the game, and which event it was.
    hidden: dict[Viewer, dict[str, tuple[int, str]]] = {viewer: {} for viewer in playout.viewers}
    before: dict[Viewer, Counter[str]] = {viewer: Counter() for viewer in playout.viewers}

    def watch(event: Event) -> None:
        for viewer in playout.viewers:
            shown, own = ruleset.redact(event, viewer), hidden[viewer]
            view = ruleset.view(playout.fold.state, viewer)
            in_event, in_view = texts_in(shown), texts_in(view)
            # The names of an event's fields are known to all; what is in them may be a secret.
            for text in texts_in(list(event.payload.values())):
                own.setdefault(text, (before[viewer][text], event.type))
            for text in in_event:
                own.pop(text, None)
            for text, (seen, hider) in own.items():
                times = in_view[text]
                assert times <= seen, (
                    f"{ruleset.name} hides {text!r} of {hider} from {name_viewer(viewer)}, "
                    f"but after {event.type} their view has it at {find_text(view, text)}"
                )
                own[text] = (times, hider)
            before[viewer] = in_view

    playout.watch = watch
    finished(playout)


def name_viewer(viewer: Viewer) -> str:
    return "spectators" if viewer is None else f"seat {viewer}"


def find_text(value: Any, text: str, at: str = "view") -> str:
    """List where a text is."""
    if value == text:
        return at
    children = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list | tuple):
        children = enumerate(value)
    found = [find_text(child, text, f"{at}[{key!r}]") for key, child in children]
    keys = [f"a key of {at}"] if isinstance(value, dict) and text in value else []
    return ", ".join([*keys, *filter(None, found)])


def test_seed_is_in_no_view_and_no_event_before_the_last(ruleset: AnyRuleset, seats: int) -> None:
    seed, playout = "c0ffee-seed-5ec2e7", Playout(ruleset, seats, "c0ffee-seed-5ec2e7")
    for _ in steps(playout):
        views = [canonical(ruleset.view(playout.fold.state, viewer)) for viewer in playout.viewers]
        assert [view for view in views if seed.encode() in view] == []
    for event in playout.log[:-1]:
        shown = [canonical(ruleset.redact(event, viewer)) for viewer in playout.viewers]
        assert [payload for payload in shown if seed.encode() in payload] == []


def test_redaction_leaves_the_event_itself_alone(ruleset: AnyRuleset, seats: int) -> None:
    playout = finished(Playout(ruleset, seats, "redact"))
    before = written(playout.log)
    for event in playout.log:
        for viewer in playout.viewers:
            ruleset.redact(event, viewer)
    assert before == written(playout.log)


# ------------------------------------------------------------------ absence


def test_timeouts_alone_bring_a_game_to_its_end(ruleset: AnyRuleset, seats: int) -> None:
    playout = Playout(ruleset, seats, "timeouts").start()
    while (seat := playout.to_act()) is not None:
        if playout.fold.deadline_ms is None:
            playout.fire_timer()  # which the rules have instead
            continue
        move = ruleset.timeout_move(playout.fold.state, seat)
        assert move in playout.view(seat)["legal_moves"]
        playout.time_out()
    if playout.fold.turn is None and not playout.completed:
        leave_all(playout)  # a game without turns
    assert playout.completed


@pytest.mark.parametrize("moves", [0, 1, 9])
def test_game_that_everybody_left_ends(ruleset: AnyRuleset, seats: int, moves: int) -> None:
    playout = Playout(ruleset, seats, "left")
    for _ in zip(range(moves), steps(playout), strict=False):
        pass
    if not playout.log:
        playout.start()
    leave_all(playout)
    while playout.to_act() is not None:
        playout.time_out()
    assert playout.completed


def test_players_who_left_win_nothing_unless_the_rules_say_so(
    ruleset: AnyRuleset, seats: int
) -> None:
    if not ruleset.leavers_rank_last:
        pytest.skip(f"{ruleset.name} deals with players who leave by itself")
    for seat in range(min(seats, 3)):
        playout = Playout(ruleset, seats, "one left")
        for _ in zip(range(3), steps(playout), strict=False):
            pass
        playout.presence("player_left", seat)
        finished_from_here(playout)
        outcome = playout.fold.outcome()
        assert outcome is not None
        standing = outcome.standings[seat]
        assert (standing.is_winner, standing.forfeited) == (False, True)
        assert playout.origin.players[seat].player_id not in playout.log[-1].payload["winners"]


def finished_from_here(playout: Playout) -> None:
    for _ in playing(playout):
        pass
    if not playout.completed:
        leave_all(playout)
    assert playout.completed


def test_presence_alone_changes_no_turn(ruleset: AnyRuleset, seats: int) -> None:
    playout = Playout(ruleset, seats, "presence").start()
    turn = playout.fold.turn
    for kind in ("player_disconnected", "player_reconnected"):
        playout.presence(kind, 0)
        assert turn == playout.fold.turn


# ------------------------------------------------------------------ timers


def test_timers_alone_leave_a_game_that_ends_or_waits_for_a_move(
    ruleset: AnyRuleset, seats: int
) -> None:
    if type(ruleset).next_timer is Ruleset.next_timer:
        pytest.skip(f"{ruleset.name} has no timers")
    playout = Playout(ruleset, seats, "timers").start()
    while playout.fold.timer is not None:
        playout.fire_timer()
    assert playout.completed or playout.to_act() is not None
