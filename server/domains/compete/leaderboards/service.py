"""Counts the games that were completed, and reads boards.

The games of a ruleset that ended at about the same time are counted in one transaction: their
players are locked in id order, the games are marked, and the players' entries are read, added to
and written. A second delivery of a game's event finds the mark.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from persistence.database import Connection
from persistence.leaderboards.store import (
    BEST,
    BoardKey,
    BoardPlace,
    BoardRow,
    BoardStore,
    EntryRow,
    StoredSeason,
)
from persistence.rls import Requester
from protocol import leaderboards as wire
from protocol.domain_events import GameCompleted
from protocol.errors import BadToken, InvalidField, UnknownRuleset
from protocol.ids import PlayerId
from server.core.cursors import CursorCodec
from server.core.event_delivery import EventDelivery
from server.domains.compete.leaderboards import rules
from server.domains.interfaces import FollowedPlayers
from server.gamekit.contract import Statistic
from server.gamekit.fold import AnyRuleset

PEOPLE: Final = ("person",)
WITH_BOTS: Final = ("person", "bot")


class RankedPlace(NamedTuple):
    """Where a page ended, so that ranks go on: its last row, that row's rank, and its number."""

    rank_value: str
    achieved_at: datetime
    player_id: PlayerId
    rank: int
    number: int


_CURSOR: Final = CursorCodec("board", RankedPlace, str, datetime, UUID, int, int)


class RankedRow(NamedTuple):
    """A row with its rank, and its number from the top of the board."""

    row: BoardRow
    rank: int
    number: int


class BoardCounter:
    """Counts games for the boards of the rulesets that declare statistics."""

    def __init__(self, store: BoardStore, rulesets: Mapping[str, AnyRuleset]) -> None:
        self._store = store
        self._rulesets = rulesets
        self.counted = 0

    def declared(self, ruleset: str) -> Mapping[str, Statistic]:
        """Give what a ruleset declares; nothing for one that is not installed here."""
        rules_of = self._rulesets.get(ruleset)
        return {} if rules_of is None else rules_of.declared_statistics()

    async def count_completed(self, delivery: EventDelivery) -> None:
        """Count a game that was completed, once."""
        await self.count_all([delivery])

    async def count_all(self, deliveries: Sequence[EventDelivery]) -> list[str]:
        """Count games that were completed, once each; give the ids of their events."""
        events = {
            each.event.game_id: each.event
            for each in deliveries
            if isinstance(each.event, GameCompleted)
            and each.event.uncounted is None
            and self.declared(each.event.ruleset)
        }
        games: dict[str, list[rules.BoardGame]] = {}
        if events:
            for game_id, players in (await self._store.read_summary_players(events)).items():
                event = events[game_id]
                games.setdefault(event.ruleset, []).append(self._board_game(event, players))
        for ruleset, ended in games.items():
            await self.count_games(ruleset, ended)
        return [each.event_id for each in deliveries]

    def _board_game(
        self, event: GameCompleted, players: Sequence[Mapping[str, Any]]
    ) -> rules.BoardGame:
        declared = self.declared(event.ruleset)
        left = {seat.player_id for seat in event.players if seat.forfeited}
        seats = tuple(
            rules.BoardSeat(
                PlayerId(player["player_id"]), rules.read_values(declared.values(), player)
            )
            for player in players
            if player["player_id"] not in left
        )
        at = datetime.fromisoformat(event.completed_at)
        return rules.BoardGame(event.game_id, event.ruleset, at, seats)

    async def count_games(self, ruleset: str, games: Sequence[rules.BoardGame]) -> int:
        """Count games of a ruleset in one transaction; says how many were not counted before."""
        players = {seat.player_id for game in games for seat in game.seats}
        async with self._store.database.transaction() as connection:
            kinds = await self._store.lock_players(connection, players)
            new = await self._store.mark_counted(
                connection, ruleset, {game.game_id: game.at for game in games}
            )
            if new:
                counted = [game for game in games if game.game_id in new]
                await self._add(connection, ruleset, counted, kinds)
        self.counted += len(new)
        return len(new)

    async def _add(
        self,
        connection: Connection,
        ruleset: str,
        games: Sequence[rules.BoardGame],
        kinds: Mapping[PlayerId, str],
    ) -> None:
        declared = self.declared(ruleset)
        times = [game.at for game in games]
        seasons = await self._store.list_seasons_between(
            connection, ruleset, min(times), max(times)
        )
        added = [
            (rules.EntryKey(name, period.key, seat.player_id), period, game, value)
            for game in games
            for seat in game.seats
            if seat.player_id in kinds
            for name, value in seat.values.items()
            for period in rules.periods_of(
                declared[name],
                game.at,
                [each.name for each in seasons if each.starts_at <= game.at < each.ends_at],
            )
        ]
        stored = await self._store.read_entries(
            connection,
            ruleset,
            statistics=sorted({key.statistic for key, *_ in added}),
            periods=sorted({key.period for key, *_ in added}),
            players=list(kinds),
        )
        entries = {rules.EntryKey(*each[:3]): rules.EntryValue(*each[3:]) for each in stored}
        written: dict[rules.EntryKey, EntryRow] = {}
        for key, period, game, value in added:
            statistic = declared[key.statistic]
            of_game = rules.EntryValue(value, 1, game.at, game.game_id)
            entries[key] = entry = rules.add_game(statistic, entries.get(key), of_game)
            written[key] = make_row(statistic, key, entry, kinds[key.player_id], period)
        await self._store.write_entries(connection, ruleset, list(written.values()))


def make_row(
    statistic: Statistic,
    key: rules.EntryKey,
    entry: rules.EntryValue,
    kind: str,
    period: rules.Period,
) -> EntryRow:
    """Put an entry together as it is written."""
    return EntryRow(
        *key,
        kind,
        entry.value,
        rules.rank_value(statistic, entry.value),
        entry.games,
        entry.achieved_at,
        entry.game_id,
        period.ends_at,
    )


class BoardReader:
    """Reads boards; `now` gives the time in UTC."""

    def __init__(
        self,
        store: BoardStore,
        rulesets: Mapping[str, AnyRuleset],
        friends: FollowedPlayers,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._rulesets = rulesets
        self._friends = friends
        self._now = now

    def boards(self, ruleset: str) -> list[Statistic]:
        """List the boards of a ruleset; raise `UnknownRuleset`."""
        if (rules_of := self._rulesets.get(ruleset)) is None:
            raise UnknownRuleset
        return [each for each in rules_of.declared_statistics().values() if each.board]

    async def read_page(
        self,
        ruleset: str,
        statistic: str,
        query: wire.RulesetBoardQuery,
        *,
        who: Requester | None,
        player_id: PlayerId | None,
    ) -> tuple[str, list[RankedRow], str | None]:
        """Read a part of a board: its period, its rows, and the cursor of what follows."""
        if all(board.name != statistic for board in self.boards(ruleset)):
            raise wire.BoardNotFound
        period = await self._period(ruleset, query)
        board = BoardKey(ruleset, statistic, period, WITH_BOTS if query.bots else PEOPLE)
        if query.scope == "all":
            return period, *await self._page(board, query, None)
        if who is None or player_id is None:
            raise BadToken("Send an access token: Authorization: Bearer …")
        if query.scope == "around":
            return period, await self._around(board, player_id, query.limit), None
        followed = await self._friends.list_followed_players(who, limit=wire.FRIENDS_MAX)
        return period, *await self._page(board, query, [player_id, *followed])

    async def _period(self, ruleset: str, query: wire.RulesetBoardQuery) -> str:
        if (query.period == "season") != (query.season is not None):
            raise InvalidField("season: name one with `period=season`.", field="season")
        if query.season is not None:
            seasons = await self._store.list_seasons(ruleset)
            if all(season.name != query.season for season in seasons):
                raise InvalidField("season: there is no such season.", field="season")
        today = self._now().astimezone(UTC).date()
        try:
            day = today if query.day is None else date.fromisoformat(query.day)
            return rules.period_asked(query.period, day, query.season).key
        except (ValueError, OverflowError):
            raise InvalidField(
                "day: there is no such day; write 2027-03-31.", field="day"
            ) from None

    async def _page(
        self,
        board: BoardKey,
        query: wire.RulesetBoardQuery,
        players: Sequence[PlayerId] | None,
    ) -> tuple[list[RankedRow], str | None]:
        after, last = BEST, None
        if query.cursor is not None:
            last = _CURSOR.read(query.cursor)
            after = _place(last)
        found = await self._store.list_entries(
            board, after=after, limit=query.limit + 1, players=players
        )
        ranked = list(_ranked(found[: query.limit], last))
        more = len(found) > query.limit
        return ranked, _CURSOR.write(_ended(ranked[-1])) if more else None

    async def _around(self, board: BoardKey, player_id: PlayerId, limit: int) -> list[RankedRow]:
        """Read the places around a player's; nothing where the board does not show them."""
        own = await self._store.find_entry(board, player_id)
        if own is None:
            return []
        before = await self._store.list_entries_before(
            board, before=own.place, limit=(limit - 1) // 2
        )
        after = await self._store.list_entries(
            board, after=own.place, limit=limit - 1 - len(before)
        )
        rows = [*before, own, *after]
        number, better = await self._store.count_before(board, rows[0].place)
        # As if the page before had ended with the row that shares the first one's rank.
        first = RankedRow(rows[0], better + 1, number + 1)
        return [first, *_ranked(rows[1:], _ended(first))]


def _ranked(rows: Sequence[BoardRow], last: RankedPlace | None) -> Sequence[RankedRow]:
    """Give rows their ranks, after the last row of what came before."""
    ranked: list[RankedRow] = []
    number = 0 if last is None else last.number
    value = None if last is None else _rank_value(last)
    rank = 0 if last is None else last.rank
    for row in rows:
        number += 1
        if row.rank_value != value:
            rank, value = number, row.rank_value
        ranked.append(RankedRow(row, rank, number))
    return ranked


def _ended(row: RankedRow) -> RankedPlace:
    place = row.row.place
    return RankedPlace(
        str(place.rank_value), place.achieved_at, place.player_id, row.rank, row.number
    )


def _rank_value(place: RankedPlace) -> int:
    try:
        value = int(place.rank_value)
    except ValueError:
        value = 2**63
    if abs(value) >= 2**63:
        raise InvalidField(
            "cursor: send the `next` of the previous page unchanged.", field="cursor"
        )
    return value


def _place(last: RankedPlace) -> BoardPlace:
    return BoardPlace(_rank_value(last), last.achieved_at, last.player_id)


class BoardEditor:
    """What editors and players change; `now` gives the time in UTC."""

    def __init__(self, store: BoardStore, reader: BoardReader, now: Callable[[], datetime]) -> None:
        self._store = store
        self._reader = reader
        self._now = now

    async def add_season(
        self, ruleset: str, name: str, asked: wire.RulesetSeasonRequest
    ) -> StoredSeason:
        """Add a season; the same one again changes nothing."""
        self._reader.boards(ruleset)
        try:
            season = StoredSeason(
                name,
                datetime.fromisoformat(asked.starts_at),
                datetime.fromisoformat(asked.ends_at),
            )
        except ValueError:
            raise InvalidField(
                "starts_at: there is no such day or hour.", field="starts_at"
            ) from None
        if season.ends_at <= season.starts_at:
            raise InvalidField("ends_at: a season ends after it begins.", field="ends_at")
        present = await self._store.list_seasons(ruleset)
        if season in present:
            return season
        if season.starts_at <= self._now():
            problem = "starts_at: it has passed; games were counted without this season."
            raise InvalidField(problem, field="starts_at")
        if any(each.name == name for each in present):
            raise wire.SeasonTaken
        together = [
            s for s in present if s.starts_at < season.ends_at and s.ends_at > season.starts_at
        ]
        if len(together) >= wire.SEASONS_AT_ONCE_MAX:
            raise wire.TooManySeasons("Too many seasons of this ruleset overlap.")
        if not await self._store.add_season(ruleset, season):
            raise wire.TooManySeasons
        return season
