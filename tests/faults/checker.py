"""Compares what players wrote down with what the database has; pure functions over both.

Each check gives sentences about what is wrong; none means that the promises were kept:

    contiguous      indexes run 0 … head, and the hashes chain
    acts once       no command number of a seat is there twice, and none is skipped
    acknowledged    every answer names the event that the log has for that very command
    live = replay   every event that came is the log's, redaction aside, each once, in order
    all or nothing  the last event, the status, the summary and the match are there together
    statistics      lifetime statistics are the fold of all logs
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from persistence.eventlog.hashchain import canonical_json, genesis_hash, link_hash
from persistence.games.model import StoredGame
from protocol.ids import GameId
from server.gamekit.contract import Event, Outcome
from server.gamekit.fold import AnyRuleset, GameFold, GameOrigin
from server.gamekit.table import CMD, GAME_COMPLETED, INVALID_ACTION, SeatedPlayer, visible_payload
from server.rulesets import find_rulesets
from tests.faults.recording import Json, Witness

RULESETS: Mapping[str, AnyRuleset] = find_rulesets()


class StoredEvent(NamedTuple):
    """A row of `game_events`; `at` is as it travels."""

    event_index: int
    type: str
    payload: Json
    at_ms: int
    at: str
    hash: bytes


@dataclass(frozen=True)
class Evidence:
    """What the database has: of each game its row, log, summary and matches; statistics."""

    games: Mapping[GameId, StoredGame]
    logs: Mapping[GameId, Sequence[StoredEvent]]
    summaries: Mapping[GameId, Json]
    matches: Counter[GameId]
    statistics: Mapping[str, Json]


class Done(NamedTuple):
    """What the log has for one command: its first event, and the move or the refusal."""

    event_index: int
    move: Json | None
    code: str | None


def findings(evidence: Evidence, witnesses: Sequence[Witness]) -> list[str]:
    """Give everything that is wrong."""
    found: list[str] = []
    for game_id, game in evidence.games.items():
        log = evidence.logs[game_id]
        wrong = [*check_contiguous(game, log), *check_acts_once(log)]
        wrong += check_completion(game, log, evidence)
        if not wrong:  # only a whole log can be folded
            for witness in witnesses:
                if witness.game_id == game_id:
                    wrong += check_acknowledged(game, log, witness)
                    wrong += check_live(game, log, witness)
        found += [f"game {game_id}: {sentence}" for sentence in wrong]
    return found or list(check_statistics(evidence))


def check_contiguous(game: StoredGame, log: Sequence[StoredEvent]) -> Iterator[str]:
    """Check indexes, head and hash chain."""
    indexes = [event.event_index for event in log]
    if indexes != list(range(game.next_event_index)):
        yield f"the head is {game.next_event_index}, and the indexes are {indexes}"
    previous = genesis_hash(game.id)
    for event in log:
        previous = link_hash(previous, event.event_index, event.type, canonical_json(event.payload))
        if previous != event.hash:
            yield f"event {event.event_index} breaks the chain"
            return


def check_acts_once(log: Sequence[StoredEvent]) -> Iterator[str]:
    """Check that the commands of each seat are there once each, in order."""
    numbers: defaultdict[int, list[int]] = defaultdict(list)
    for event in log:
        if CMD in event.payload:
            seat, cmd_no = event.payload[CMD]
            numbers[seat].append(cmd_no)
    for seat, used in numbers.items():
        if used != list(range(1, len(used) + 1)):
            yield f"the commands of seat {seat} are {used}"


def check_completion(
    game: StoredGame, log: Sequence[StoredEvent], evidence: Evidence
) -> Iterator[str]:
    """Check that everything about the end is there, or nothing."""
    parts = {
        "last event": bool(log) and log[-1].type == GAME_COMPLETED,
        "status": game.status == "completed",
        "summary": game.id in evidence.summaries,
        "match": evidence.matches[game.id] == 1,
    }
    if len(set(parts.values())) > 1 or evidence.matches[game.id] > 1:
        yield f"it is half completed: {parts}, matches: {evidence.matches[game.id]}"
    elif parts["status"]:
        scores = log[-1].payload["final_scores"]
        if evidence.summaries[game.id] != scores:
            yield f"the summary has {evidence.summaries[game.id]}, the log {scores}"


def check_acknowledged(
    game: StoredGame, log: Sequence[StoredEvent], witness: Witness
) -> Iterator[str]:
    """Check every answer that one player got."""
    done = commands(game, log)
    for cmd_no, replies in witness.replies.items():
        have = done.get((witness.seat, cmd_no))
        whose = f"command {cmd_no} of seat {witness.seat}"
        for reply in replies:
            if "event_index" not in reply:
                continue  # refused before it touched the log
            if have is None or have.event_index != reply["event_index"]:
                yield f"{whose} was answered {reply}, the log has {have}"
            elif have.code != reply.get("code"):
                yield f"{whose} was answered {reply}, the log has the code {have.code}"
            elif have.code is None and have.move != witness.sent[cmd_no]:
                yield f"{whose} was {witness.sent[cmd_no]}, the log has {have.move}"


def check_live(game: StoredGame, log: Sequence[StoredEvent], witness: Witness) -> Iterator[str]:
    """Check that what one player saw is a beginning of the log, in order, each event once."""
    indexes = [event["event_index"] for event in witness.events]
    if indexes != list(range(len(indexes))):
        yield f"seat {witness.seat} saw the indexes {indexes}"
        return
    if len(indexes) > len(log):
        yield f"seat {witness.seat} saw {len(indexes)} events, the log has {len(log)}"
        return
    ruleset = RULESETS[game.ruleset]
    for seen, event in zip(witness.events, log, strict=False):
        hidden = visible_payload(ruleset, Event(event.type, event.payload), witness.seat)
        expected = (event.type, hidden, event.at), (event.type, event.payload, event.at)
        if (seen["event"], seen["payload"], seen["at"]) not in expected:
            yield f"seat {witness.seat} saw {seen}, the log has {event}"


def check_statistics(evidence: Evidence) -> Iterator[str]:
    """Fold every finished game once more and compare."""
    expected: dict[str, Counter[str]] = defaultdict(Counter)
    for game_id, game in evidence.games.items():
        if game.status == "completed" and not RULESETS[game.ruleset].scores_declared:
            _add(expected, game, evidence.logs[game_id])
    for player_id in expected.keys() | evidence.statistics.keys():
        have = evidence.statistics.get(player_id, {})
        nothing = dict.fromkeys(have, 0)  # who only played games that do not count
        if (dict(expected[player_id]) or nothing) != have:
            yield f"player {player_id}: the logs give {dict(expected[player_id])}, stored is {have}"


def _add(expected: dict[str, Counter[str]], game: StoredGame, log: Sequence[StoredEvent]) -> None:
    fold, _ = refold(game, log)
    outcome = fold.outcome()
    assert isinstance(outcome, Outcome)
    for standing in outcome.standings:
        total = expected[fold.table.seats[standing.seat].player_id]
        total.setdefault("games_won", 0)  # a Counter drops no zeros that were set
        total["games_played"] += 1
        total["games_won"] += standing.is_winner
        total["total_points"] += 0 if standing.forfeited else standing.score
        total["total_tricks_won"] += (
            0 if standing.forfeited else standing.statistics.get("tricks_won", 0)
        )


def commands(game: StoredGame, log: Sequence[StoredEvent]) -> dict[tuple[int, int], Done]:
    """Give what the log has for each (seat, command number)."""
    return refold(game, log)[1]


def refold(
    game: StoredGame, log: Sequence[StoredEvent]
) -> tuple[GameFold, dict[tuple[int, int], Done]]:
    """Fold a whole log, noting each command and what it was."""
    fold = GameFold(_origin(game, log[0].payload))
    done: dict[tuple[int, int], Done] = {}
    for stored in log:
        event = Event(stored.type, stored.payload, stored.at_ms)
        if CMD in stored.payload:
            seat, cmd_no = stored.payload[CMD]
            move = fold.ruleset.move_of(fold.state, _plain(event))
            code = stored.payload["code"] if stored.type == INVALID_ACTION else None
            done[seat, cmd_no] = Done(stored.event_index, move.move if move else None, code)
        fold.apply(event)
    return fold, done


def _plain(event: Event) -> Event:
    payload = {key: value for key, value in event.payload.items() if key != CMD}
    return event._replace(payload=payload)


def _origin(game: StoredGame, created: dict[str, Any]) -> GameOrigin:
    ruleset = RULESETS[game.ruleset]
    players = tuple(SeatedPlayer(seat["player_id"], seat["bot"]) for seat in created["players"])
    return GameOrigin(ruleset, players, ruleset.config.model_validate(game.config), game.seed)
