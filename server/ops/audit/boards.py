"""Boards counted again from the logs: first games that were never counted, then every player.

A day or a week is compared while it is not yet old enough to be deleted.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from persistence.database import Connection
from persistence.leaderboards.store import BoardStore, EntryRow, StoredSeason
from protocol.ids import GameId, PlayerId
from server.domains.compete.leaderboards import rules
from server.domains.compete.leaderboards.service import BoardCounter, make_row
from server.domains.compete.leaderboards.settings import KEPT_S_MIN
from server.ops.audit.folding import FoldedGame, GameFolder, Uncountable
from server.ops.audit.rebuild import ColumnDifference, PlayerRecount

GAMES_KEPT_MAX: Final = 10_000

# By ruleset, then by statistic and period.
_Entries = dict[str, dict[tuple[str, str], EntryRow]]


class BoardRebuild:
    """Counts again; with `repair` what differs is put right, a transaction a player."""

    def __init__(
        self, store: BoardStore, folder: GameFolder, *, now: datetime, repair: bool
    ) -> None:
        self._store = store
        self._folder = folder
        self._repair = repair
        self._counter = BoardCounter(store, folder.rulesets)
        self._games: dict[GameId, rules.BoardGame] = {}
        self._seasons: Mapping[str, Sequence[StoredSeason]] = {}
        self._since = now - timedelta(seconds=KEPT_S_MIN)

    async def count_missing(self) -> tuple[int, list[str]]:
        """Count the games that never were; says how many, and what could not be counted.

        Without `repair` they are only found.
        """
        declaring = [name for name, each in self._folder.rulesets.items() if each.statistics]
        problems: list[str] = []
        missing = 0
        found = await self._store.list_uncounted_games(declaring)
        while found:
            for game_id in found:
                missing += 1
                if not self._repair:
                    continue
                try:
                    game = await self._board_game(game_id)
                    await self._counter.count_games(game.ruleset, [game])
                except Uncountable as why:
                    problems.append(str(why))
            found = await self._store.list_uncounted_games(declaring, after=found[-1])
        return missing, problems

    async def recount_all_players(self) -> AsyncIterator[PlayerRecount]:
        """Recount every player, in id order."""
        self._seasons = await self._store.read_all_seasons()
        players = await self._store.list_players()
        while players:
            for player_id in players:
                yield await self.recount_player(player_id)
            players = await self._store.list_players(after=players[-1])

    async def recount_player(self, player_id: PlayerId) -> PlayerRecount:
        """Recount one player, whose row is locked meanwhile."""
        self._seasons = self._seasons or await self._store.read_all_seasons()
        try:
            async with self._store.database.transaction() as connection:
                kinds = await self._store.lock_players(connection, [player_id])
                counted = await self._counted(connection, player_id, kinds.get(player_id))
                stored: _Entries = {
                    ruleset: {(row.statistic, row.period): row for row in rows}
                    for ruleset, rows in (
                        await self._store.read_all_entries(connection, player_id)
                    ).items()
                }
                differences = tuple(self._differences(stored, counted))
                if differences and self._repair:
                    rows = {name: list(each.values()) for name, each in counted.items()}
                    await self._store.replace_entries(connection, player_id, rows)
        except Uncountable as why:
            return PlayerRecount(player_id, problem=str(why))
        return PlayerRecount(player_id, differences, repaired=bool(differences) and self._repair)

    async def _counted(
        self, connection: Connection, player_id: PlayerId, kind: str | None
    ) -> _Entries:
        counted: _Entries = {}
        if kind is None:
            return counted
        games = await self._store.list_counted_games(connection, player_id)
        while games:
            for game_id in games:
                self._add(counted, await self._board_game(game_id), player_id, kind)
            games = await self._store.list_counted_games(connection, player_id, after=games[-1])
        return counted

    def _add(
        self, counted: _Entries, game: rules.BoardGame, player_id: PlayerId, kind: str
    ) -> None:
        declared = self._counter.declared(game.ruleset)
        entries = counted.setdefault(game.ruleset, {})
        seasons = [
            season.name
            for season in self._seasons.get(game.ruleset, ())
            if season.starts_at <= game.at < season.ends_at
        ]
        values = next((s.values for s in game.seats if s.player_id == player_id), {})
        for name, value in values.items():
            for period in rules.periods_of(declared[name], game.at, seasons):
                if period.ends_at is not None and period.ends_at < self._since:
                    continue
                before = entries.get((name, period.key))
                entry = rules.add_game(
                    declared[name],
                    None if before is None else _value(before),
                    rules.EntryValue(value, 1, game.at, game.game_id),
                )
                key = rules.EntryKey(name, period.key, player_id)
                entries[name, period.key] = make_row(declared[name], key, entry, kind, period)

    def _differences(self, stored: _Entries, counted: _Entries) -> list[ColumnDifference]:
        found = []
        for ruleset in sorted({*stored, *counted}):
            if ruleset not in self._folder.rulesets:
                continue
            there, again = stored.get(ruleset, {}), counted.get(ruleset, {})
            for key in sorted({*there, *again}):
                old, new = there.get(key), again.get(key)
                if new is None and old is not None and self._is_old(old):
                    continue
                pair = old and (_value(old), old.kind), new and (_value(new), new.kind)
                if pair[0] != pair[1]:
                    shown: list[object] = [each and each[0].value for each in pair]
                    if shown[0] == shown[1]:  # how many games, or when
                        shown = [each and str(each) for each in pair]
                    name = f"{key[0]} ({key[1]}) in {ruleset}"
                    found.append(ColumnDifference(name, *shown))
        return found

    def _is_old(self, row: EntryRow) -> bool:
        return row.ends_at is not None and row.ends_at < self._since

    async def _board_game(self, game_id: GameId) -> rules.BoardGame:
        if (known := self._games.get(game_id)) is not None:
            return known
        game = _as_board_game(game_id, await self._folder.fold(game_id), self._counter)
        if len(self._games) == GAMES_KEPT_MAX:
            del self._games[next(iter(self._games))]
        self._games[game_id] = game
        return game


def _as_board_game(game_id: GameId, folded: FoldedGame, counter: BoardCounter) -> rules.BoardGame:
    completion = folded.completion
    left = {result.player_id for result in completion.results if result.forfeited}
    declared = counter.declared(folded.ruleset).values()
    seats = tuple(
        rules.BoardSeat(PlayerId(player["player_id"]), rules.read_values(declared, player))
        for player in completion.summary.players
        if player["player_id"] not in left
    )
    return rules.BoardGame(game_id, folded.ruleset, completion.at, seats)


def _value(row: EntryRow) -> rules.EntryValue:
    return rules.EntryValue(row.value, row.games, row.achieved_at, row.game_id)
