"""What an audit has before it: a log, and what the database says about the game, if there is one.

An exported file is a log and nothing else: it must stand alone. A replay file says beside its
log what the game was and how it ended.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson
from pydantic import ValidationError

from persistence.audit.store import AuditedMatch, AuditReader, MatchPlayer, SetAside
from persistence.eventlog.hashchain import InvalidPayload
from persistence.eventlog.writer import EventRow
from persistence.games.model import StoredGame
from protocol.errors import GameNotFound
from protocol.history import GameSummary
from protocol.ids import GameId, PlayerId
from server.domains.play.games.recorder import RecordedEvent
from server.domains.play.games.recovery import decode_row
from server.gamekit.contract import Event
from server.gamekit.fold import AnyRuleset, GameOrigin
from server.gamekit.table import GAME_COMPLETED, GAME_CREATED, parse_players
from server.ops.audit.findings import CheckFailed, CheckNotPossible
from server.ops.audit.rebuild import RecountedStatistics, read_stored_tally


class StatisticsComparison(NamedTuple):
    """A player's statistics: as they are stored, and as the history of games adds up."""

    player_id: PlayerId
    stored: RecountedStatistics
    added_up: RecountedStatistics


@dataclass(frozen=True, slots=True)
class StoredResults:
    """What the database concluded from a game's log."""

    aside: SetAside
    summary: GameSummary | None
    match: AuditedMatch | None
    match_players: Sequence[MatchPlayer]
    lifetimes: Sequence[StatisticsComparison]


class ReplayContents(NamedTuple):
    """What a replay file says of its game, beside the log: `game` is as the file has it.

    `initial_state` and `commands` are None where the file does not have them: files of the
    first format, and rules that cannot derive their moves.
    """

    game: Mapping[str, object]
    summary: GameSummary
    initial_state: Mapping[str, object] | None = None
    commands: Sequence[Mapping[str, object]] | None = None


@dataclass(frozen=True, slots=True)
class GameEvidence:
    """A log in the order in which it was found, and the rest where it comes from a database."""

    game_id: GameId
    rows: Sequence[EventRow]
    game: StoredGame | None = None
    conclusions: StoredResults | None = None
    stated: ReplayContents | None = None

    @property
    def is_over(self) -> bool:
        """Whether the log says that the game has ended."""
        return bool(self.rows) and self.rows[-1].type == GAME_COMPLETED


async def gather_log(books: AuditReader, game_id: GameId) -> GameEvidence:
    """Read a game's row and log; raise `GameNotFound`."""
    game, _ = await _game(books, game_id)
    return GameEvidence(game_id, await books.read_events(game_id), game)


async def gather_evidence(
    books: AuditReader, game_id: GameId, *, newest_only: bool = False
) -> GameEvidence:
    """Read all that there is about a game; raise `GameNotFound`.

    `newest_only`: of the players' statistics, only those that no later game touched.
    """
    game, aside = await _game(books, game_id)
    match_players = await books.read_match_players(game_id)
    whose = [player.player_id for player in match_players]
    conclusions = StoredResults(
        aside=aside,
        summary=await books.read_summary(game_id),
        match=await books.read_match(game_id),
        match_players=match_players,
        lifetimes=await _lifetimes(
            books, await books.list_players_newest_here(game_id) if newest_only else whose
        ),
    )
    return GameEvidence(game_id, await books.read_events(game_id), game, conclusions)


async def _game(books: AuditReader, game_id: GameId) -> tuple[StoredGame, SetAside]:
    found = await books.read_game(game_id)
    if found is None:
        raise GameNotFound(f"There is no game {game_id}.")
    return found


async def _lifetimes(books: AuditReader, players: Sequence[PlayerId]) -> list[StatisticsComparison]:
    return [
        StatisticsComparison(
            player, await read_stored_tally(books, player), await _added_up(books, player)
        )
        for player in players
    ]


async def _added_up(books: AuditReader, player_id: PlayerId) -> RecountedStatistics:
    """Count a player's statistics from the history and the summaries, without any log."""
    tally = RecountedStatistics()
    async for game in books.iterate_counted_games(player_id):
        tally = tally.with_game(
            game.ruleset,
            score=game.score,
            tricks_won=game.tricks_won or 0,
            is_winner=game.is_winner,
            at=game.ended_at,
        )
    return tally


def read_log(rows: Sequence[EventRow]) -> list[RecordedEvent]:
    """Read a log's events; raise `CheckFailed` where one cannot be read."""
    recorded: list[RecordedEvent] = []
    for row in rows:
        try:
            recorded.append(decode_row(row))
        except (InvalidPayload, orjson.JSONDecodeError) as error:
            raise CheckFailed(f"event {row.event_index} cannot be read: {error}") from None
    return recorded


def find_seed(evidence: GameEvidence, log: Sequence[RecordedEvent]) -> str:
    """Find the game's seed; raise `CheckNotPossible` where it is not revealed yet."""
    if evidence.game is not None:
        return evidence.game.seed
    if not evidence.is_over:
        raise CheckNotPossible("the seed is revealed when the game ends, and this log ends before")
    seed = log[-1].event.payload.get("session_seed")
    if not isinstance(seed, str):
        raise CheckFailed(f"event {log[-1].event_index} reveals no seed")
    return seed


def find_origin(
    evidence: GameEvidence, log: Sequence[RecordedEvent], *, rulesets: Mapping[str, AnyRuleset]
) -> GameOrigin:
    """Find out what a game started from, by its first event and its seed."""
    created = read_first_event(log).payload
    seed = find_seed(evidence, log)
    ruleset = rulesets.get(created["ruleset"])
    ruleset = ruleset and ruleset.of_version(created["ruleset_version"])
    if ruleset is None:
        named = f"{created['ruleset']} of version {created['ruleset_version']}"
        raise CheckFailed(
            f"this program has no ruleset {named}; set PLAYHALL_RULESETS_PATH to the folder that "
            "contains it"
        )
    try:
        config = ruleset.config.model_validate(created["config"])
    except ValidationError as error:
        wrong = error.errors()[0]
        raise CheckFailed(
            f"the configuration is not valid: {wrong['loc']}: {wrong['msg']}"
        ) from None
    try:
        return GameOrigin(ruleset, parse_players(created), config, seed)
    except (KeyError, TypeError) as error:
        raise CheckFailed(f"event 0 does not say who sits where: {error!r}") from None


def read_first_event(log: Sequence[RecordedEvent]) -> Event:
    """Give the event that a game begins with; raise `CheckFailed` where it is none such."""
    if not log:
        raise CheckNotPossible("no event could be read")
    event = log[0].event
    expected = {"ruleset", "ruleset_version", "players", "config", "seed_hash"}
    if event.type != GAME_CREATED or not expected <= event.payload.keys():
        raise CheckFailed(f"event 0 is {event.type}, which does not say what game this is")
    return event
