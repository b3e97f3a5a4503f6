"""What a ruleset with turns, or without any order of moves, promises."""

import copy
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import orjson
from pydantic import ValidationError

from server.gamekit.chance import Chance
from server.gamekit.conformance.playout import (
    START_MS,
    BrokenPromise,
    Playout,
    Snapshot,
    canonical,
    refold,
    written,
)
from server.gamekit.conformance.promise import Promise, Trial, write_json
from server.gamekit.contract import Event, IllegalMove, Payload, Ruleset, Turn, Viewer
from server.gamekit.fold import AnyRuleset
from server.gamekit.table import AT, CMD

OPEN_MOVES: Final = 60  # a game that allows any move is ended after so many, by everybody's leaving
REFUSED_SAMPLE: Final = 12
UNSEEN_SAMPLE: Final = 4
ENDING_GAMES: Final = ("a", "b", "c")
LOWERCASE: Final = re.compile(r"[a-z][a-z0-9_]*")
REFUSAL_CHARS_MIN: Final = 10

JUNK: Final[list[Payload]] = [
    {},
    {"type": None},
    {"type": ""},
    {"type": "nonsense"},
    {"type": ["bid"]},
    {"type": {"type": "bid"}},
    {"move": 1},
    {"type": "\u0000"},
]

TURN_PROMISES: Final[list[Promise]] = []

Exempt = Callable[[AnyRuleset], str | None]


def promise(
    name: str, sentence: str, *, exempt: Exempt = lambda _: None
) -> Callable[[Callable[[Trial], None]], Callable[[Trial], None]]:
    """Add the check below to the promises."""

    def add(check: Callable[[Trial], None]) -> Callable[[Trial], None]:
        TURN_PROMISES.append(Promise(name, sentence, check, exempt))
        return check

    return add


# ------------------------------------------------------------------ how a game is played


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
            if not _act_out_of_turn(playout, chance):
                break
        else:
            yield from playing(playout)
    leave_all(playout)
    yield from playing(playout)


def _act_out_of_turn(playout: Playout, chance: Chance) -> bool:
    """Have somebody move, or a timer go off, where it is nobody's turn; False where neither can."""
    seats = len(playout.origin.players)
    anyone = chance.below(seats)
    for seat in (*range(anyone, seats), *range(anyone)):
        legal = _legal_moves_of(playout, seat)
        if legal is None or legal:
            playout.act(seat, random_object(chance) if legal is None else chance.choice(legal))
            return True
    if playout.fold.timer is None:
        return False
    playout.fire_timer()
    return True


def playing(playout: Playout) -> Iterator[None]:
    """Let the bots, or the clock where there are none, play while it is anybody's turn."""
    while (seat := playout.to_act()) is not None:
        if playout.origin.players[seat].bot is None:
            playout.time_out()
        else:
            playout.act(seat, playout.bot_move(seat))
        yield


def leave_all(playout: Playout) -> None:
    """Have everybody leave who has not left yet."""
    for seat, occupant in enumerate(playout.fold.table.seats):
        if occupant.present and not playout.completed:
            playout.presence("player_left", seat)


def finished(playout: Playout) -> Playout:
    """Play to the end."""
    for _ in steps(playout):
        pass
    require_end(playout, "its bots have played, or everybody has left")
    return playout


def require_end(playout: Playout, when: str) -> None:
    """Raise `BrokenPromise` unless the game has its last event."""
    if not playout.completed:
        raise BrokenPromise(
            f"Nobody is to act and the game has not ended, although {when}.",
            "Let outcome give a result whenever to_act gives None; if everybody has left, too.",
        )


def random_object(chance: Chance, depth: int = 3) -> Payload:
    """Make any JSON object."""
    return {f"k{chance.below(9)}": _random_json(chance, depth) for _ in range(chance.below(4))}


def _random_json(chance: Chance, depth: int) -> Any:
    leaves = (None, True, chance.below(1000), -0.5, "text", "ü\u0000")
    kind = chance.below(len(leaves) + (2 if depth else 0))
    if kind < len(leaves):
        return leaves[kind]
    if kind == len(leaves):
        return [_random_json(chance, depth - 1) for _ in range(chance.below(4))]
    return random_object(chance, depth - 1)


# ------------------------------------------------------------------ being a ruleset


@promise("introduces_itself", "It has a name, a title, a version and seats.")
def _introduces_itself(trial: Trial) -> None:
    ruleset = trial.ruleset
    if not LOWERCASE.fullmatch(ruleset.name):
        raise BrokenPromise(
            f"Its name is {ruleset.name!r}.", "Begin it with a letter; then a to z, digits and _."
        )
    if type(ruleset).__module__.split(".")[2:3] != [ruleset.name]:
        raise BrokenPromise(
            f"Its name is {ruleset.name!r}, and its class is from {type(ruleset).__module__}.",
            "Give its folder the same name.",
        )
    if not ruleset.title.strip():
        raise BrokenPromise("Its title is empty.", "Set title to what people call it.")
    if ruleset.seats.step != 1:
        raise BrokenPromise(
            f"Its seats are {ruleset.seats}.", "Use a range without gaps, such as range(2, 5)."
        )


@promise("configuration", "Its configuration has defaults, and refuses unknown fields.")
def _configuration(trial: Trial) -> None:
    config = trial.ruleset.config
    defaults = config().model_dump()
    if config() != config.model_validate_json(canonical(defaults)):
        raise BrokenPromise(
            f"The configuration is not the same after it was stored: {write_json(defaults)}.",
            "Use fields that JSON has: numbers, text, lists and other models.",
        )
    try:
        config.model_validate({**defaults, "no_such_field": 1})
    except ValidationError:
        return
    raise BrokenPromise(
        "The configuration takes a field that it does not have.",
        'Derive it from RulesetConfig, and keep extra="forbid".',
    )


# ------------------------------------------------------------------ a game and its log


@promise("ends", "Games of its bots end, with a standing for each seat.")
def _ends(trial: Trial) -> None:
    for label in ENDING_GAMES:
        outcome = finished(trial.playout(label)).fold.outcome()
        assert outcome is not None
        seats = [standing.seat for standing in outcome.standings]
        if seats != list(range(trial.seats)):
            raise BrokenPromise(
                f"outcome has standings for the seats {seats}.",
                f"Give one Standing for each seat from 0 to {trial.seats - 1}, in this order.",
            )
        try:
            orjson.dumps(outcome.rounds)
        except orjson.JSONEncodeError as error:
            raise BrokenPromise(
                f"The rounds of outcome are not JSON: {error}.", "Use dicts, lists, text, numbers."
            ) from None


@promise("bots_play_alone", "Each bot plays a game on all seats to the end.")
def _bots_play_alone(trial: Trial) -> None:
    for name in trial.ruleset.bots:
        finished(trial.playout("alone", bots=(name,)))


@promise("same_seed", "The same seed and the same moves give the same log.")
def _same_seed(trial: Trial) -> None:
    one, two = (finished(trial.playout("twice")).log for _ in range(2))
    for index, (first, second) in enumerate(zip(one, two, strict=False)):
        if written([first]) != written([second]):
            raise BrokenPromise(
                f"Two games with the same seed differ in event {index}, {first.type}: "
                f"{write_json(first.payload)} and {write_json(second.payload)}.",
                "Take all chance from setup.seed (Chance, derive_seed), read no clock, and keep "
                "nothing between games outside the state. The order of a set may differ, too.",
            )


@promise("refold", "Folding the stored log gives the same game after every event.")
def _refold(trial: Trial) -> None:
    live: list[tuple[Snapshot, int | None]] = []
    playout = trial.playout("refold")
    playout.watch = lambda _: live.append(_look(playout))
    finished(playout)
    stored = [Event(*each) for each in orjson.loads(written(playout.log))]
    again = refold(playout, [])
    trial.game = again
    for event, then in zip(stored, live, strict=True):
        again.fold.apply(event)
        again.log.append(event)
        now = _look(again)
        if then != now:
            raise BrokenPromise(
                f"The game folded from its log is another one: {_differ(then, now)}.",
                "Change the state in evolve only, from what is in the event. What a dict or tuple "
                "became in JSON must do as well: keys are text there, and tuples are lists.",
            )


@promise(
    "times_change_nothing",
    "The times of events change nothing, unless the rules read them.",
    exempt=lambda rules: "it reads the time" if rules.reads_time else None,
)
def _times_change_nothing(trial: Trial) -> None:
    playout = finished(trial.playout("times"))
    again = refold(playout, [event._replace(at_ms=0) for event in playout.log])
    if _look(playout)[0] != _look(again)[0]:
        raise BrokenPromise(
            "The same events at other times give another game.",
            "Set reads_time = True, or do not use event.at_ms.",
        )


def _look(playout: Playout) -> tuple[Snapshot, int | None]:
    # Two folds hold equal values, but their representations need not be the same text.
    return playout.snapshot()._replace(state=""), playout.fold.deadline_ms


def _differ(then: tuple[Snapshot, int | None], now: tuple[Snapshot, int | None]) -> str:
    """Say what of two looks at a game differs."""
    (before, deadline), (after, again) = then, now
    for viewer, (one, two) in enumerate(zip(before.views, after.views, strict=False)):
        if one != two:
            whom = name_viewer(viewer - 1 if viewer else None)
            return f"the view of {whom} was {_short(one)} and is {_short(two)}"
    if before.turn != after.turn:
        return f"to_act gave {before.turn} and gives {after.turn}"
    if before.outcome != after.outcome:
        return f"outcome gave {before.outcome} and gives {after.outcome}"
    return f"the deadline was {deadline} and is {again}"


def _short(view: bytes) -> str:
    return write_json(orjson.loads(view))


@promise("events", "Every event has a lowercase type, and JSON with its version as payload.")
def _events(trial: Trial) -> None:
    for kind, payload, _ in finished(trial.playout("shape")).log:
        if not LOWERCASE.fullmatch(kind):
            raise BrokenPromise(
                f"An event is called {kind!r}.",
                "Use a to z, digits and _, beginning with a letter.",
            )
        if not (isinstance(payload.get("_v"), int) and payload["_v"] >= 1):
            raise BrokenPromise(
                f"The payload of {kind} has no version: {write_json(payload)}.",
                'Add "_v": 1 to it.',
            )
        try:
            stored = orjson.loads(canonical(payload))
        except TypeError as error:  # of which orjson's own error is one
            raise BrokenPromise(
                f"The payload of {kind} is not JSON: {error}.",
                "Use dicts with text as keys, lists, text, numbers, True, False and None.",
            ) from None
        if payload != stored:
            raise BrokenPromise(
                f"The payload of {kind} is not the same once it is stored: {payload!r}.",
                "Use lists instead of tuples, and text as keys.",
            )


@promise("turn_numbers", "No two turns share a number, and a turn keeps all but seats that moved.")
def _turn_numbers(trial: Trial) -> None:
    playout, seen = trial.playout("turns"), set[int]()
    last: Turn | None = None
    for _ in steps(playout):
        turn = playout.fold.turn
        if turn is None:
            continue
        if last is None or turn.number != last.number:
            if turn.number in seen:
                raise BrokenPromise(
                    f"The number {turn.number} belongs to an earlier turn, too.",
                    "Count turns in the state, in evolve, and give the count as the number.",
                )
        elif turn != last and not _is_rest_of(turn, last):
            raise BrokenPromise(
                f"Turn {turn.number} was {last} and is {turn}.",
                "Give a new turn a new number. While the number stays, seats may only leave it, "
                "and timeout_s stays as well.",
            )
        seen.add(turn.number)
        last = turn


def _is_rest_of(turn: Turn, before: Turn) -> bool:
    """Say whether some of a turn's seats have moved, and nothing else is different."""
    return set(turn.seats) < set(before.seats) and turn.timeout_s == before.timeout_s


@promise("deadline", "The deadline of a turn stays while some of its seats have moved.")
def _deadline(trial: Trial) -> None:
    playout, deadlines = trial.playout("deadlines"), dict[int, int | None]()
    for _ in steps(playout):
        if (turn := playout.fold.turn) is not None and not (
            deadlines.setdefault(turn.number, playout.fold.deadline_ms) == playout.fold.deadline_ms
        ):
            raise BrokenPromise(
                f"The deadline of turn {turn.number} moves.",
                "Give to_act the same number and timeout_s until each of its seats has moved.",
            )


# ------------------------------------------------------------------ moves


@promise("legal_moves", "Moves that the view lists as legal are accepted, and bots make them.")
def _legal_moves(trial: Trial) -> None:
    playout = trial.playout("legal")
    for _ in steps(playout):
        for seat in _seats_to_act(playout):
            legal = _legal_moves_of(playout, seat)
            if not legal:
                raise BrokenPromise(
                    f"It is the turn of seat {seat}, and its view has no legal_moves.",
                    "List every move that decide would accept from this seat now.",
                )
            for move in legal or ():
                refusal = playout.refusal(seat, move)
                if refusal is not None:
                    raise BrokenPromise(
                        f"A legal move is refused: {refusal.code} ({refusal}).",
                        "List in legal_moves only what parse reads and decide accepts.",
                    )
            if playout.origin.players[seat].bot:
                move = playout.bot_move(seat)
                playout.tried = seat, move
                if move not in (legal or ()):
                    raise BrokenPromise(
                        f"The bot {playout.origin.players[seat].bot} makes an illegal move.",
                        "Let the bot choose from view['legal_moves'].",
                    )


def _seats_to_act(playout: Playout) -> tuple[int, ...]:
    return () if playout.fold.turn is None else playout.fold.turn.seats


def _legal_moves_of(playout: Playout, seat: int) -> list[Payload] | None:
    view = playout.view(seat)
    if "legal_moves" not in view:
        raise BrokenPromise(
            f"The view of seat {seat} has no legal_moves.",
            "Add them: a list of raw moves, [] when there is none, or None if any move is allowed.",
        )
    moves: list[Payload] | None = view["legal_moves"]
    return moves


@promise("decide_is_pure", "Deciding changes nothing.")
def _decide_is_pure(trial: Trial) -> None:
    playout = trial.playout("pure")
    for _ in steps(playout):
        before, seat = playout.snapshot(), playout.to_act() or 0
        for move in [*(_legal_moves_of(playout, seat) or [])[:2], *JUNK]:
            playout.refusal(seat, move)
            if before != playout.snapshot():
                raise BrokenPromise(
                    "decide changes the state, or what is seen of it.",
                    "Put what happens into events, and change the state in evolve.",
                )


@promise(
    "moves_verify",
    "Deciding a recorded move again gives the same events.",
    exempt=lambda rules: "it has no move_of" if type(rules).move_of is Ruleset.move_of else None,
)
def _moves_verify(trial: Trial) -> None:
    ruleset = trial.ruleset
    playout = finished(trial.playout("again"))
    again, log = refold(playout, playout.log[:1]), playout.log
    trial.game = again
    decided = ruleset.setup(again.fold.state)
    for index, event in enumerate(log[1:], start=1):
        if not decided and (moved := ruleset.move_of(again.fold.state, event)) is not None:
            again.tried = moved.seat, moved.move
            decided = ruleset.decide(again.fold.state, moved.seat, ruleset.read_move(moved.move))
            recorded = log[index : index + len(decided)]
            if not (
                [_decision(each) for each in decided] == [_decision(each) for each in recorded]
            ):
                raise BrokenPromise(
                    f"The move that move_of reads from event {index} is decided differently: "
                    f"{write_json([list(each[:2]) for each in decided])} instead of "
                    f"{write_json([list(each[:2]) for each in recorded])}.",
                    "Let move_of give the very move that was made, and decide depend on the "
                    "state and the move only.",
                )
        if event.type not in ("player_left", "game_completed"):  # the table's own
            if decided and event.type != decided[0].type:
                raise BrokenPromise(
                    f"Event {index}, {event.type}, follows from no move that move_of gives.",
                    "Let move_of give the move for the first event of every move, else None.",
                )
            decided.pop(0)
        again.fold.apply(event)
        again.log.append(event)


def _decision(event: Event) -> bytes:
    """Write what the rules decided of an event, without what the server adds."""
    return canonical(
        [event.type, {key: v for key, v in event.payload.items() if key not in (AT, CMD)}]
    )


@promise("other_moves_refused", "Every other move is refused, with a code and a helpful message.")
def _other_moves_refused(trial: Trial) -> None:
    pool = _move_pool(trial)
    chance, playout = Chance(trial.derived("others")), trial.playout("others")
    for _ in steps(playout):
        seat, anyone = playout.to_act(), chance.below(trial.seats)
        for other in {anyone, anyone if seat is None else seat}:
            _require_only_legal_moves(playout, other, pool, chance)
    for seat in range(trial.seats):
        legal = _legal_moves_of(playout, seat)
        if legal != []:
            raise BrokenPromise(
                f"The game has ended, and the legal_moves of seat {seat} are {write_json(legal)}.",
                "List no moves once outcome gives a result.",
            )
        _require_only_legal_moves(playout, seat, pool, chance)


def _require_only_legal_moves(
    playout: Playout, seat: int, pool: list[Payload], chance: Chance
) -> None:
    legal_moves = _legal_moves_of(playout, seat)
    if legal_moves is None:
        return
    # Compared as text, because to Python 1, 1.0 and True are the same.
    legal = {canonical(move) for move in legal_moves}
    for move in chance.shuffled(pool)[:REFUSED_SAMPLE]:
        if canonical(move) not in legal:
            refusal = playout.refusal(seat, move)
            if refusal is None:
                raise BrokenPromise(
                    "A move is accepted that the view does not list as legal.",
                    "Refuse it in parse (of another form: other keys, a float, True for 1) or in "
                    "decide (not now, not this seat), or list it in legal_moves.",
                )
            assert refusal is not None
            _require_helpful(refusal)


def _require_helpful(refusal: IllegalMove) -> None:
    if not re.fullmatch(r"[a-z][a-z_]*", refusal.code):
        raise BrokenPromise(
            f"A move is refused with the code {refusal.code!r}.",
            "Use a code of a to z and _, such as not_your_turn.",
        )
    if len(refusal.message) <= REFUSAL_CHARS_MIN:
        raise BrokenPromise(
            f"A move is refused as {refusal.code} with the message {refusal.message!r}.",
            "Say in a sentence what the player may do instead.",
        )


def _move_pool(trial: Trial) -> list[Payload]:
    """Collect moves that were legal at some time, spoilt moves, and junk."""
    playout, moves = trial.playout("pool"), dict[bytes, Payload]()
    for _ in steps(playout):
        seat = playout.to_act()
        for move in (_legal_moves_of(playout, seat) or ()) if seat is not None else ():
            moves[canonical(move)] = move
    spoilt = [bad for move in list(moves.values())[:20] for bad in _spoil(move)]
    return [*moves.values(), *spoilt, *JUNK]


def _spoil(move: Payload) -> Iterator[Payload]:
    yield {**move, "extra": 1}
    for key in move:
        yield {k: value for k, value in move.items() if k != key}
        for wrong in (None, True, -1, 10**9, 1.0, "", "x", [], [move[key]], {"": move[key]}):
            yield {**move, key: wrong}


# ------------------------------------------------------------------ what is hidden


@promise("hidden_stays_hidden", "What an event hides is in no view and event until it is shown.")
def _hidden_stays_hidden(trial: Trial) -> None:
    ruleset, playout = trial.ruleset, trial.playout("hidden")
    # For each viewer, the texts that an event hid from them: how often they could see each at
    # that time, because it is also a word of the game, and which event it was.
    hidden: dict[Viewer, dict[str, tuple[int, str]]] = {viewer: {} for viewer in playout.viewers}
    before: dict[Viewer, Counter[str]] = {viewer: Counter() for viewer in playout.viewers}

    def watch(event: Event) -> None:
        # The names of an event's fields are known to all; what is in them may be a secret.
        in_payload = _texts_in(list(event.payload.values()))
        for viewer in playout.viewers:
            shown, own = ruleset.redact(event, viewer), hidden[viewer]
            view = ruleset.view(playout.fold.state, viewer)
            in_event, in_view = _texts_in(shown), _texts_in(view)
            for text in in_payload:
                own.setdefault(text, (before[viewer][text], event.type))
            for text in in_event:
                own.pop(text, None)
            for text, (seen, hider) in own.items():
                times = in_view[text]
                if times > seen:
                    raise BrokenPromise(
                        f"{ruleset.name} hides {text!r} of {hider} from {name_viewer(viewer)}, but "
                        f"after {event.type} their view has it at {_find_text(view, text)}.",
                        "Leave it out of the view of this viewer, or show it in the event first.",
                    )
                own[text] = (times, hider)
            before[viewer] = in_view

    playout.watch = watch
    finished(playout)


def name_viewer(viewer: Viewer) -> str:
    """Say who looks."""
    return "spectators" if viewer is None else f"seat {viewer}"


def _texts_in(value: object) -> Counter[str]:
    """Count the texts in a value, keys included."""
    found: list[str] = []
    _collect_texts(value, found)
    return Counter(found)


def _collect_texts(value: object, found: list[str]) -> None:
    if isinstance(value, str):
        found.append(value)
    elif isinstance(value, dict):
        found.extend(value)
        for child in value.values():
            _collect_texts(child, found)
    elif isinstance(value, list | tuple):
        for child in value:
            _collect_texts(child, found)


def _find_text(value: Any, text: str, at: str = "view") -> str:
    """List where a text is."""
    if value == text:
        return at
    children: Iterable[Any] = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list | tuple):
        children = enumerate(value)
    found = [_find_text(child, text, f"{at}[{key!r}]") for key, child in children]
    keys = [f"a key of {at}"] if isinstance(value, dict) and text in value else []
    return ", ".join([*keys, *filter(None, found)])


@promise("unseen_moves", "Moves that look the same to others leave them with the same view.")
def _unseen_moves(trial: Trial) -> None:
    playout = trial.playout("unseen")
    for _ in steps(playout):
        for seat in _seats_to_act(playout):
            others = [viewer for viewer in playout.viewers if viewer != seat]
            # For each of them and each way in which moves look, the first move that looks so.
            first: dict[tuple[Viewer, bytes], tuple[Payload, list[Event]]] = {}
            for move in (_legal_moves_of(playout, seat) or [])[:UNSEEN_SAMPLE]:
                playout.tried = seat, move
                events = _events_of(playout, seat, move)
                for viewer in others:
                    shown = canonical(
                        [[each.type, trial.ruleset.redact(each, viewer)] for each in events]
                    )
                    before, before_events = first.setdefault((viewer, shown), (move, events))
                    if before is move:
                        continue
                    one = _view_after(playout, before_events, viewer)
                    two = _view_after(playout, events, viewer)
                    if one != two:
                        raise BrokenPromise(
                            f"{name_viewer(viewer)} cannot tell {write_json(before)} from "
                            f"{write_json(move)} by the events, and can by the view: {_short(one)} "
                            f"and {_short(two)}.",
                            "Leave out of the view what redact hides, or show it in the event.",
                        )


def _events_of(playout: Playout, seat: int, move: Payload) -> list[Event]:
    """Decide a move without making it, and give its events their time."""
    rules = playout.ruleset
    events = rules.decide(playout.fold.state, seat, rules.read_move(move))
    at_ms = START_MS + playout.now_ms
    stamp = {AT: at_ms} if rules.reads_time else {}
    return [Event(each.type, {**each.payload, **stamp}, at_ms) for each in events]


def _view_after(playout: Playout, events: list[Event], viewer: Viewer) -> bytes:
    """Draw the view that there would be after these events."""
    state = copy.deepcopy(playout.fold.state)
    for event in events:
        playout.ruleset.evolve(state, event)
    return canonical(playout.ruleset.view(state, viewer))


@promise("seed_is_secret", "The seed is in no view, and in no event before the last.")
def _seed_is_secret(trial: Trial) -> None:
    ruleset, playout = trial.ruleset, trial.playout("c0ffee-seed-5ec2e7")
    seed = canonical(playout.seed)[1:-1]
    remedy = "Leave it out; put what it decides into events instead."
    for _ in steps(playout):
        for viewer in playout.viewers:
            view = canonical(ruleset.view(playout.fold.state, viewer))
            if seed in view:
                raise BrokenPromise(f"The view of {name_viewer(viewer)} has the seed.", remedy)
    for event in playout.log[:-1]:
        for viewer in playout.viewers:
            shown = canonical(ruleset.redact(event, viewer))
            if seed in shown:
                raise BrokenPromise(f"The event {event.type} shows the seed.", remedy)


@promise("redact_changes_nothing", "Redaction leaves the event itself alone.")
def _redact_changes_nothing(trial: Trial) -> None:
    playout = finished(trial.playout("redact"))
    for event in playout.log:
        before = written([event])
        for viewer in playout.viewers:
            trial.ruleset.redact(event, viewer)
            if before != written([event]):
                raise BrokenPromise(
                    f"redact changes the payload of {event.type} for {name_viewer(viewer)}.",
                    "Return a new dict: {**event.payload, ...}. The payload is what is stored.",
                )


# ------------------------------------------------------------------ absence


@promise("timeouts_end_it", "Timeouts alone bring a game to its end.")
def _timeouts_end_it(trial: Trial) -> None:
    playout = trial.playout("timeouts").start()
    while (seat := playout.to_act()) is not None:
        if playout.fold.deadline_ms is None:
            if playout.fold.timer is None:
                raise BrokenPromise(
                    f"Seat {seat} may take for ever: its turn has no timeout_s, and no timer runs.",
                    "Give the turn a timeout_s.",
                )
            playout.fire_timer()  # which the rules have instead
            continue
        move = trial.ruleset.timeout_move(playout.fold.state, seat)
        playout.tried = seat, move
        if move not in (_legal_moves_of(playout, seat) or ()):
            raise BrokenPromise(
                f"The timeout_move of seat {seat} is none of its legal_moves.",
                "Return a move that the view lists as legal.",
            )
        playout.time_out()
    if playout.fold.turn is None and not playout.completed:
        leave_all(playout)  # a game without turns
    require_end(playout, "timeouts played all of it")


@promise("everybody_leaves", "A game that everybody left ends.")
def _everybody_leaves(trial: Trial) -> None:
    for moves in (0, 1, 9):
        playout = trial.playout(f"left after {moves}")
        for _ in zip(range(moves), steps(playout), strict=False):
            pass
        if not playout.log:
            playout.start()
        leave_all(playout)
        while playout.to_act() is not None:
            playout.time_out()
        require_end(playout, "everybody has left")


@promise(
    "leavers_win_nothing",
    "Players who left win nothing, unless the rules say so.",
    exempt=lambda rules: (
        None if rules.leavers_rank_last else "it deals with players who leave by itself"
    ),
)
def _leavers_win_nothing(trial: Trial) -> None:
    for seat in range(min(trial.seats, 3)):
        playout = trial.playout("one left")
        for _ in zip(range(3), steps(playout), strict=False):
            pass
        playout.presence("player_left", seat)
        for _ in playing(playout):
            pass
        if not playout.completed:
            leave_all(playout)
        require_end(playout, f"seat {seat} has left")
        outcome = playout.fold.outcome()
        assert outcome is not None
        standing = outcome.standings[seat]
        winners = playout.log[-1].payload["winners"]
        if not (
            standing.forfeited
            and not standing.is_winner
            and playout.origin.players[seat].player_id not in winners
        ):
            raise BrokenPromise(
                f"Seat {seat} left and wins.",
                "Let the server rank players who left; do not override how standings are made.",
            )


@promise("presence_changes_no_turn", "Who is connected changes no turn.")
def _presence_changes_no_turn(trial: Trial) -> None:
    playout = trial.playout("presence").start()
    turn = playout.fold.turn
    for kind in ("player_disconnected", "player_reconnected"):
        playout.presence(kind, 0)
        if turn != playout.fold.turn:
            raise BrokenPromise(
                f"{kind} changes the turn from {turn} to {playout.fold.turn}.",
                "Ignore it in evolve: the seat is kept, and the turn timer goes on.",
            )


# ------------------------------------------------------------------ timers


@promise(
    "timers_end",
    "Timers alone leave a game that ends or waits for a move.",
    exempt=lambda rules: (
        "it has no timers" if type(rules).next_timer is Ruleset.next_timer else None
    ),
)
def _timers_end(trial: Trial) -> None:
    playout = trial.playout("timers").start()
    while playout.fold.timer is not None:
        playout.fire_timer()
    if not playout.completed and playout.to_act() is None:
        raise BrokenPromise(
            "All timers have gone off, nobody is to act, and the game has not ended.",
            "Let to_act, next_timer or outcome say how it goes on.",
        )
