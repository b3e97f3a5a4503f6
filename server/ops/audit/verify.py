"""Checking one game: its log, played again by its rules, and what the database concluded from it.

Each check gives the sentence that holds, or raises `CheckFailed` or `CheckNotPossible`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from persistence.audit.store import NOT_ASIDE, AuditedMatch, MatchPlayer
from persistence.eventlog.completion import Completion
from persistence.eventlog.hashchain import genesis_hash, link_hash
from persistence.games.model import StoredGame
from protocol.history import GameSummary
from server.domains.play.games.recorder import RecordedEvent
from server.domains.play.games.results import build_completion
from server.gamekit.commands import command_stream, initial_state
from server.gamekit.fold import AnyRuleset, GameFold, GameOrigin
from server.gamekit.table import seed_hash
from server.ops.audit.evidence import (
    GameEvidence,
    ReplayContents,
    StatisticsComparison,
    StoredResults,
    find_origin,
    find_seed,
    read_first_event,
    read_log,
)
from server.ops.audit.findings import CheckFailed, CheckNotPossible, Finding, Report
from server.ops.audit.rebuild import list_tally_differences
from server.ops.audit.replay_check import ReplayCheck

_WANTED = "the rules could not be followed to the end"


def verify_game(
    evidence: GameEvidence, rulesets: Mapping[str, AnyRuleset], *, partial: bool = False
) -> Report:
    """Make every check that the evidence allows.

    `partial`: a file may end before its game does, which nothing in it can tell from a loss.
    """
    return _Examination(evidence, rulesets, partial=partial).report()


class _Examination:
    """The checks of one game, in order; later ones stand on what earlier ones found."""

    def __init__(
        self, evidence: GameEvidence, rulesets: Mapping[str, AnyRuleset], *, partial: bool
    ) -> None:
        self._evidence = evidence
        self._partial = partial
        self._rulesets = rulesets
        self._findings: list[Finding] = []
        self._log: Sequence[RecordedEvent] = ()
        self._fold: GameFold | None = None

    def report(self) -> Report:
        evidence = self._evidence
        whole = self._check("order", lambda: check_order(evidence))
        self._check("chain", self._chain)
        self._check("seed", lambda: check_seed(evidence, self._log))
        self._check("rules", self._rules if whole else _not_whole)
        if evidence.game is None:
            self._check("end", lambda: check_end(evidence, partial=self._partial))
        if evidence.game is not None and evidence.conclusions is not None:
            self._against(evidence.game, evidence.conclusions)
        if evidence.stated is not None:
            self._against_stated(evidence.stated)
        return Report(evidence.game_id, self._title(), len(evidence.rows), self._findings)

    def _against(self, game: StoredGame, drawn: StoredResults) -> None:
        self._check("game", lambda: check_game(self._evidence, game, log=self._log))
        self._check("summary", lambda: check_summary(drawn, self._concluded()))
        self._check("match", lambda: check_match(game, drawn, completion=self._concluded()))
        self._check("statistics", lambda: check_statistics(self._evidence, drawn))

    def _against_stated(self, stated: ReplayContents) -> None:
        self._check("game", lambda: check_stated(stated, self._log))
        self._check("commands", lambda: self._commands(stated))
        drawn = StoredResults(NOT_ASIDE, stated.summary, None, (), ())
        self._check("summary", lambda: check_summary(drawn, self._concluded()))

    def _check(self, name: str, check: Callable[[], str]) -> bool:
        try:
            finding = Finding(name, True, check())
        except CheckFailed as broken:
            finding = Finding(name, False, str(broken))
        except CheckNotPossible as why:
            finding = Finding(name, None, f"not checked: {why}")
        self._findings.append(finding)
        return finding.holds is True

    def _chain(self) -> str:
        self._log = read_log(self._evidence.rows)
        return check_chain(self._evidence, self._log)

    def _rules(self) -> str:
        origin = find_origin(self._evidence, self._log, rulesets=self._rulesets)
        again = ReplayCheck(origin, self._log)
        self._fold = again.run()
        if not again.derives_moves:
            name = origin.ruleset.name
            return f"{len(self._log)} events fold; {name} does not report its moves"
        return f"{len(self._log)} events match what {origin.ruleset.title} gives for this seed"

    def _commands(self, stated: ReplayContents) -> str:
        if self._fold is None:
            raise CheckNotPossible(_WANTED)
        return check_commands(stated, self._fold.origin, log=self._log)

    def _concluded(self) -> Completion | None:
        if self._fold is None:
            raise CheckNotPossible(_WANTED)
        return recompute_results(self._evidence, self._fold)

    def _title(self) -> str:
        created = self._log[0].event.payload if self._log else {}
        return f"{created.get('ruleset', 'unknown')} {created.get('ruleset_version', '')}".strip()


def _not_whole() -> str:
    raise CheckNotPossible("the log is not whole")


def check_order(evidence: GameEvidence) -> str:
    """Indexes are 0, 1, 2, … up to the head, each once."""
    if not evidence.rows:
        raise CheckFailed("the log is empty")
    for index, row in enumerate(evidence.rows):
        if row.event_index > index:
            raise CheckFailed(f"event {index} is missing")
        if row.event_index < index:
            raise CheckFailed(f"event {row.event_index} appears again after event {index - 1}")
    count = len(evidence.rows)
    if evidence.game is not None and evidence.game.next_event_index != count:
        written = evidence.game.next_event_index
        raise CheckFailed(f"{written} events were written, but {count} exist")
    return f"events 0 to {count - 1}, without a gap"


def check_end(evidence: GameEvidence, *, partial: bool) -> str:
    """A log that stands alone ends with its game; events cut off at the end leave no gap."""
    if not evidence.rows:
        raise CheckNotPossible("the log is empty")
    last = evidence.rows[-1].event_index
    if evidence.is_over:
        return f"the game is over with event {last}, the last in the file"
    incomplete = f"incomplete: the game was still running at event {last}"
    if partial:
        raise CheckNotPossible(f"{incomplete}; later events may be missing")
    raise CheckFailed(f"{incomplete}; --partial takes a file that was written meanwhile")


def check_chain(evidence: GameEvidence, log: Sequence[RecordedEvent]) -> str:
    """Every hash follows from the one before, the index, the type and the payload."""
    previous = genesis_hash(evidence.game_id)
    for row, recorded in zip(evidence.rows, log, strict=True):
        if row.hash != link_hash(previous, row.event_index, row.type, recorded.payload):
            raise CheckFailed(f"event {row.event_index} breaks the hash chain")
        previous = row.hash
    return f"every hash follows from the previous one; the last is {previous.hex()}"


def check_seed(evidence: GameEvidence, log: Sequence[RecordedEvent]) -> str:
    """The first event commits to the seed that the last one reveals."""
    committed = read_first_event(log).payload["seed_hash"]
    seed = find_seed(evidence, log)
    if seed_hash(seed) != committed:
        raise CheckFailed("event 0 does not commit to this game's seed")
    if not evidence.is_over:
        return "event 0 commits to the seed, which is still secret"
    last = log[-1]
    if last.event.payload.get("session_seed") != seed:
        raise CheckFailed(
            f"event {last.event_index} reveals a different seed than the one used for the game"
        )
    return f"event 0 commits to the seed that event {last.event_index} reveals"


def check_game(evidence: GameEvidence, game: StoredGame, *, log: Sequence[RecordedEvent]) -> str:
    """The game's row says what the log says."""
    created = read_first_event(log).payload
    for column, said, logged in (
        ("ruleset", game.ruleset, created["ruleset"]),
        ("ruleset_version", game.ruleset_version, created["ruleset_version"]),
        ("config", game.config, created["config"]),
        ("status", game.status, "completed" if evidence.is_over else "in_progress"),
        ("completed_at", game.completed_at, evidence.rows[-1].at if evidence.is_over else None),
    ):
        if said != logged:
            raise CheckFailed(f"the game's {column} is {said}, but the log says {logged}")
    if evidence.conclusions is None:
        return game.status
    aside = evidence.conclusions.aside
    if aside.end_reason is not None:
        return f"an operator ended the game: {aside.end_reason}"
    if aside.quarantine_reason is not None:
        raise CheckFailed(f"the game is quarantined: {aside.quarantine_reason}")
    return game.status


def check_stated(stated: ReplayContents, log: Sequence[RecordedEvent]) -> str:
    """A replay file says of its game what its log says, the seed included."""
    created, last = read_first_event(log).payload, log[-1].event.payload
    logged = {**created, "seed": last.get("session_seed")}
    for field in ("ruleset", "ruleset_version", "config", "players", "seed"):
        if stated.game[field] != logged.get(field):
            raise CheckFailed(f"the file's {field} differs from its log")
    return "matches the log"


def check_commands(
    stated: ReplayContents, origin: GameOrigin, *, log: Sequence[RecordedEvent]
) -> str:
    """A replay file's initial state and commands are those that its log came of."""
    if stated.initial_state is None:
        raise CheckNotPossible("the file has no initial state and no commands")
    if stated.initial_state != initial_state(origin):
        raise CheckFailed("the file's initial state differs from its log")
    if stated.commands is None:
        raise CheckNotPossible("the file has no commands")
    drawn = command_stream(origin, [recorded.event for recorded in log]) or []
    for found, command in zip(stated.commands, drawn, strict=False):
        if found != command:
            raise CheckFailed(f"the command of event {command['event_index']} differs from the log")
    if len(stated.commands) != len(drawn):
        raise CheckFailed(
            f"the file has {len(stated.commands)} commands, but the log has {len(drawn)}"
        )
    return f"{len(drawn)} commands, which match the log"


def check_summary(stored: StoredResults, completion: Completion | None) -> str:
    """The summary is that of the log; names, which the log has not, aside."""
    if completion is None:
        return _none_yet("summary", stored.summary)
    if stored.summary is None:
        raise CheckFailed("the game is over, but has no summary")
    found, drawn = _comparable(stored.summary), _comparable(completion.summary)
    for field, value in drawn.items():
        if found[field] != value:
            raise CheckFailed(f"the summary's {field} differs from the log")
    return "matches the log, field by field"


def check_match(game: StoredGame, stored: StoredResults, *, completion: Completion | None) -> str:
    """The history has the game once, with everybody who played."""
    if completion is None:
        return _none_yet("history record", stored.match)
    if stored.match is None:
        raise CheckFailed("the game is over, but is not in the history")
    expected = AuditedMatch(
        "server",
        game.ruleset,
        game.lobby_id,
        game.started_at,
        completion.at,
        completion.winner_id,
        completion.uncounted,
    )
    for column, said, logged in zip(AuditedMatch._fields, stored.match, expected, strict=True):
        if said != logged:
            raise CheckFailed(f"the match's {column} is {said}, not {logged}")
    return _check_players(stored.match_players, completion)


def check_statistics(evidence: GameEvidence, stored: StoredResults) -> str:
    """Everybody's statistics, also by ruleset, are what their history of games adds up to."""
    if not evidence.is_over:
        raise CheckNotPossible("counted when the game ends")
    for lifetime in stored.lifetimes:
        _check_lifetime(lifetime)
    if not stored.lifetimes:
        return "checked with a later game of each player"
    return f"of {len(stored.lifetimes)} players, which match their games"


def recompute_results(evidence: GameEvidence, fold: GameFold) -> Completion | None:
    """Draw up again what was stored when the game ended; None for a running game."""
    outcome = fold.outcome()
    return None if outcome is None else build_completion(fold, outcome, evidence.rows[-1].at)


def _none_yet(what: str, found: object) -> str:
    if found is not None:
        raise CheckFailed(f"the game is not over, but has a {what}")
    raise CheckNotPossible("written when the game ends")


def _comparable(summary: GameSummary) -> dict[str, Any]:
    """Give a summary as JSON would, without names."""
    fields: dict[str, Any] = orjson.loads(orjson.dumps(dict(summary)))
    fields["players"] = [_nameless(player) for player in fields["players"]]
    return fields


def _nameless(player: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in player.items() if key != "display_name"}


def _check_players(found: Sequence[MatchPlayer], completion: Completion) -> str:
    expected = [
        MatchPlayer(
            result.player_id,
            result.seat,
            result.score,
            result.is_winner,
            completion.at,
            result.forfeited,
        )
        for result in sorted(completion.results, key=lambda result: result.seat)
    ]
    for player in expected:
        if player not in found:
            raise CheckFailed(f"seat {player.seat} is in the history differently than in the log")
    if len(found) != len(expected):
        raise CheckFailed(f"the history has {len(found)} players, the log {len(expected)}")
    return f"in the history, with {len(expected)} players"


def _check_lifetime(lifetime: StatisticsComparison) -> None:
    if lifetime.stored.overall is None:
        raise CheckFailed(f"player {lifetime.player_id} has no statistics")
    for column, stored, counted in list_tally_differences(lifetime.stored, lifetime.added_up):
        raise CheckFailed(
            f"{column} of player {lifetime.player_id} is {stored}, but their games give {counted}"
        )
