"""Boards as they are stored. A game changes entries while its players are locked, in id order."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple

import orjson

from persistence.database import Connection, Database
from persistence.queries import load_queries
from protocol.ids import GameId, PlayerId
from protocol.leaderboards import SEASONS_MAX, STATISTICS_SHOWN_MAX

SQL: Final = load_queries("leaderboards/store")
FIRST_ID: Final = "00000000-0000-0000-0000-000000000000"
PAGE_ROWS: Final = 100  # games are folded between pages, while the transaction is open


class BoardKey(NamedTuple):
    """A board of a period, and whom it shows."""

    ruleset: str
    statistic: str
    period: str
    kinds: Sequence[str]


class BoardPlace(NamedTuple):
    """A place on a board: the best value first, of equal ones the earliest."""

    rank_value: int
    achieved_at: datetime
    player_id: PlayerId


BEST: Final = BoardPlace(2**63 - 1, datetime.min.replace(tzinfo=UTC), PlayerId(FIRST_ID))


class BoardRow(NamedTuple):
    """An entry of a board."""

    player_id: PlayerId
    display_name: str
    is_bot: bool
    value: int
    rank_value: int
    games: int
    achieved_at: datetime

    @property
    def place(self) -> BoardPlace:
        """Where it is."""
        return BoardPlace(self.rank_value, self.achieved_at, self.player_id)


class EntryRow(NamedTuple):
    """An entry as it is written."""

    statistic: str
    period: str
    player_id: PlayerId
    kind: str
    value: int
    rank_value: int
    games: int
    achieved_at: datetime
    game_id: GameId
    ends_at: datetime | None


class StoredEntry(NamedTuple):
    """An entry of a known ruleset, without what follows from its player and its period."""

    statistic: str
    period: str
    player_id: PlayerId
    value: int
    games: int
    achieved_at: datetime
    game_id: GameId


class StoredSeason(NamedTuple):
    """A season of a ruleset."""

    name: str
    starts_at: datetime
    ends_at: datetime


class BoardStore:
    """Boards in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self.database = database

    # ------------------------------------------------------------------ counting a game

    async def lock_players(
        self, connection: Connection, players: Collection[PlayerId]
    ) -> dict[PlayerId, str]:
        """Lock players, and say of what kind each is; who was erased is left out."""
        rows = await connection.fetch(SQL["lock_players"], list(players))
        return {row["id"]: row["kind"] for row in rows}

    async def mark_counted(
        self, connection: Connection, ruleset: str, games: Mapping[GameId, datetime]
    ) -> set[GameId]:
        """Note that games are counted, with when they ended; give those that were not."""
        columns = (list(games), list(games.values()))
        rows = await connection.fetch(SQL["mark_counted"], ruleset, *columns)
        return {row["game_id"] for row in rows}

    async def list_seasons_between(
        self, connection: Connection, ruleset: str, first: datetime, last: datetime
    ) -> list[StoredSeason]:
        """List the seasons that a moment between two is in."""
        rows = await connection.fetch(SQL["seasons_between"], ruleset, first, last, SEASONS_MAX)
        return [StoredSeason(*row) for row in rows]

    async def read_entries(
        self,
        connection: Connection,
        ruleset: str,
        *,
        statistics: Collection[str],
        periods: Collection[str],
        players: Collection[PlayerId],
    ) -> list[StoredEntry]:
        """Read the entries of some players, who are locked."""
        asked = (ruleset, list(statistics), list(periods), list(players))
        return [StoredEntry(*row) for row in await connection.fetch(SQL["entries_of"], *asked)]

    async def write_entries(
        self, connection: Connection, ruleset: str, entries: Sequence[EntryRow]
    ) -> None:
        """Write entries over what was there; their players are locked."""
        if entries:
            columns = [list(column) for column in zip(*entries, strict=True)]
            await connection.execute(SQL["write_entries"], ruleset, *columns)

    async def read_summary_players(
        self, games: Collection[GameId]
    ) -> dict[GameId, list[dict[str, Any]]]:
        """Read how games went for their players, from their summaries."""
        async with self.database.acquire() as connection:
            rows = await connection.fetch(SQL["summary_players"], list(games))
        return {game_id: orjson.loads(players) for game_id, players in rows}

    # ------------------------------------------------------------------ reading boards

    async def list_entries(
        self,
        board: BoardKey,
        *,
        after: BoardPlace,
        limit: int,
        players: Collection[PlayerId] | None = None,
    ) -> list[BoardRow]:
        """Read the places after one; `players`: among these alone."""
        query = "list_entries" if players is None else "list_entries_of"
        among = () if players is None else (list(players),)
        async with self.database.acquire() as connection:
            rows = await connection.fetch(SQL[query], *board, *after, limit, *among)
        return [BoardRow(*row) for row in rows]

    async def list_entries_before(
        self, board: BoardKey, *, before: BoardPlace, limit: int
    ) -> list[BoardRow]:
        """Read the places directly before one, from the best."""
        async with self.database.acquire() as connection:
            rows = await connection.fetch(SQL["list_entries_before"], *board, *before, limit)
        return [BoardRow(*row) for row in reversed(rows)]

    async def find_entry(self, board: BoardKey, player_id: PlayerId) -> BoardRow | None:
        """Read a player's entry, if the board shows it."""
        async with self.database.acquire() as connection:
            row = await connection.fetchrow(SQL["find_entry"], *board, player_id)
        return None if row is None else BoardRow(*row)

    async def count_before(self, board: BoardKey, place: BoardPlace) -> tuple[int, int]:
        """Count the entries before a place, and how many of them are better."""
        async with self.database.acquire() as connection:
            row = await connection.fetchrow(SQL["count_before"], *board, *place)
        assert row is not None
        return row["before"], row["better"]

    async def player_statistics(
        self, ruleset: str, player_id: PlayerId
    ) -> list[tuple[str, int, int]]:
        """Read a player's statistics over all games: name, value, games."""
        asked = (ruleset, player_id, STATISTICS_SHOWN_MAX)
        async with self.database.acquire() as connection:
            rows = await connection.fetch(SQL["player_statistics"], *asked)
        return [(row["statistic"], row["value"], row["games"]) for row in rows]

    # ------------------------------------------------------------------ seasons and listing

    async def list_seasons(self, ruleset: str) -> list[StoredSeason]:
        """List the seasons of a ruleset, newest first."""
        async with self.database.acquire() as connection:
            rows = await connection.fetch(SQL["list_seasons"], ruleset, SEASONS_MAX)
        return [StoredSeason(*row) for row in rows]

    async def add_season(self, ruleset: str, season: StoredSeason) -> bool:
        """Add a season; False where its name is taken, or there are too many."""
        async with self.database.acquire() as connection:
            added = await connection.fetchval(SQL["add_season"], ruleset, *season, SEASONS_MAX)
        return added is not None

    async def set_listed(self, player_id: PlayerId, *, is_listed: bool) -> None:
        """Put a player on the boards, or take them off."""
        async with self.database.transaction() as connection:
            kinds = await self.lock_players(connection, [player_id])
            if kinds.get(player_id) not in ("person", "hidden"):
                return
            change: Literal["show_player", "hide_player"]
            change = "show_player" if is_listed else "hide_player"
            await connection.execute(SQL[change], player_id)
            kind = "person" if is_listed else "hidden"
            await connection.execute(SQL["mark_entries"], player_id, kind)

    async def is_hidden(self, player_id: PlayerId) -> bool:
        """Say whether a player is off the boards."""
        async with self.database.acquire() as connection:
            return bool(await connection.fetchval(SQL["is_hidden"], player_id))

    async def delete_ended(self, than_s: float, *, limit: int) -> int:
        """Delete some entries of days and weeks that ended longer ago than this."""
        async with self.database.acquire() as connection:
            return len(await connection.fetch(SQL["delete_ended"], than_s, limit))

    # ------------------------------------------------------------------ counting again

    async def list_uncounted_games(
        self, rulesets: Collection[str], *, after: str = FIRST_ID
    ) -> list[GameId]:
        """List some games that the boards should have counted and have not."""
        asked = (after, list(rulesets), PAGE_ROWS)
        async with self.database.acquire() as connection:
            rows = await connection.fetch(SQL["uncounted_games"], *asked)
        return [row["game_id"] for row in rows]

    async def list_players(self, *, after: str = FIRST_ID) -> list[PlayerId]:
        """List some players who are on boards, or should be."""
        async with self.database.acquire() as connection:
            rows = await connection.fetch(SQL["players_on_boards"], after, PAGE_ROWS)
        return [row["id"] for row in rows]

    async def list_counted_games(
        self, connection: Connection, player_id: PlayerId, *, after: str = FIRST_ID
    ) -> list[GameId]:
        """List some games of a player that the boards have counted."""
        asked = (player_id, after, PAGE_ROWS)
        rows = await connection.fetch(SQL["counted_games_of"], *asked)
        return [row["game_id"] for row in rows]

    async def read_all_entries(
        self, connection: Connection, player_id: PlayerId
    ) -> dict[str, list[EntryRow]]:
        """Read all entries of a player, by ruleset; their `rank_value` is left at 0."""
        found: dict[str, list[EntryRow]] = {}
        for row in await connection.fetch(SQL["all_entries_of"], player_id):
            fields = dict(row)
            ruleset = fields.pop("ruleset")
            entry = EntryRow(player_id=player_id, rank_value=0, **fields)
            found.setdefault(ruleset, []).append(entry)
        return found

    async def read_all_seasons(self) -> dict[str, list[StoredSeason]]:
        """Read the seasons of all rulesets."""
        found: dict[str, list[StoredSeason]] = {}
        async with self.database.acquire() as connection:
            for ruleset, *season in await connection.fetch(SQL["all_seasons"]):
                found.setdefault(ruleset, []).append(StoredSeason(*season))
        return found

    async def replace_entries(
        self,
        connection: Connection,
        player_id: PlayerId,
        entries: Mapping[str, Sequence[EntryRow]],
    ) -> None:
        """Write all entries of a player, who is locked, in place of those that there are."""
        await connection.execute(SQL["delete_entries_of"], player_id)
        for ruleset, rows in entries.items():
            await self.write_entries(connection, ruleset, rows)
