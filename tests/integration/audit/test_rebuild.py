"""`playhall stats rebuild`: what the logs add up to, whatever order games ended in."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from persistence.database import Database
from protocol.ids import GameId
from server.core.clock import Clock
from server.ops.audit.commands import GameAuditor
from server.rulesets import find_rulesets
from tests.integration.audit.conftest import Played, Playhall, Spoil, open_room
from tests.integration.games.conftest import Room


def test_what_was_counted_live_is_what_the_logs_give(playhall: Playhall) -> None:
    for arguments in ([], ["--verify"]):
        counted = playhall("stats", "rebuild", *arguments)
        assert counted.exit_code == 0
        assert counted.stdout.startswith("3 players checked, 0 differ from the logs.\n")


@pytest.mark.parametrize(
    "column", ["games_played", "lowest_score", "total_tricks_won", "current_loss_streak"]
)
def test_difference_is_named_and_only_put_right_when_asked(
    playhall: Playhall, played: Played, spoil: Spoil, column: str
) -> None:
    spoil(f"UPDATE player_lifetime_stats SET {column} = 77 WHERE player_id = %s", played.players[1])
    for arguments in (["--verify"], ["--verify", "--player", played.players[1]]):
        compared = playhall("stats", "rebuild", *arguments)
        assert compared.exit_code == 1
        assert f"✗ player {played.players[1]}: not as the logs have it" in compared.stdout
        assert f"{column:<24} is 77, the logs give " in compared.stdout
    assert playhall("stats", "rebuild", "--verify", "--player", played.players[0]).exit_code == 0
    repaired = playhall("stats", "rebuild")
    assert repaired.exit_code == 0
    assert f"✓ player {played.players[1]}: put right" in repaired.stdout
    assert playhall("stats", "rebuild", "--verify").exit_code == 0
    assert playhall("verify", played.finished).exit_code == 0


def test_statistics_that_are_gone_come_back(
    playhall: Playhall, played: Played, spoil: Spoil
) -> None:
    spoil("DELETE FROM player_lifetime_stats WHERE player_id = %s", played.players[2])
    assert playhall("stats", "rebuild", "--verify").exit_code == 1
    assert playhall("stats", "rebuild").exit_code == 0
    assert playhall("stats", "rebuild", "--verify").exit_code == 0


def test_nothing_is_repaired_from_a_log_that_does_not_hold(
    playhall: Playhall, played: Played, spoil: Spoil
) -> None:
    spoil("UPDATE player_lifetime_stats SET games_won = 77 WHERE player_id = %s", played.players[0])
    spoil("DELETE FROM game_events WHERE game_id = %s AND event_index = 3", played.finished)
    refused = playhall("stats", "rebuild")
    assert refused.exit_code == 1
    assert f"game {played.finished} cannot be counted: " in refused.stdout
    assert "is 77" in playhall("verify", played.finished).stdout


class StoppedClock(Clock):
    """A clock by which everything happens within one millisecond."""

    def now(self) -> datetime:
        return datetime(2026, 11, 20, 12, tzinfo=UTC)

    def now_ms(self) -> int:
        return int(self.now().timestamp() * 1000)


async def test_games_that_end_in_one_millisecond_on_two_nodes_count_in_one_order(
    database: Database,
) -> None:
    clock = StoppedClock()
    async with (
        open_room(database, node="one", clock=clock) as one,
        open_room(database, node="two", clock=clock) as two,
    ):
        await completed(await start_games([one, two] * 8), one)
    assert len(await one.fetch("SELECT DISTINCT completed_at FROM games")) == 1
    assert await recounted(database, repair=False) == [((), None)] * 2


async def test_repair_waits_for_a_game_that_is_ending_and_counts_it(database: Database) -> None:
    async with open_room(database) as room:
        players = await room.players(2)
        first = await room.game("four_in_a_row", ["random", "random"], players)
        await room.completed(first.game_id)
        await room.fetch("UPDATE player_lifetime_stats SET games_won = 77")
        second = await room.game("four_in_a_row", [None, "random"], players)
        async with database.acquire() as holder, asyncio.TaskGroup() as group:
            lobby = holder.transaction()
            await lobby.start()
            # The last thing that the end of a game touches: until then it is not committed.
            await holder.execute("SELECT FROM lobbies WHERE id = $1 FOR UPDATE", second.lobby_id)
            second.record_presence("player_left", 0)
            await waiting(room, 1)
            repair = group.create_task(recounted(database, repair=True))
            await waiting(room, 2)
            await lobby.rollback()
        await room.completed(second.game_id)
    assert all(differences for differences, _ in repair.result())
    assert await recounted(database, repair=False) == [((), None)] * 2


async def waiting(room: Room, transactions: int) -> None:
    """Wait until so many transactions wait for a lock of another."""
    while len(await room.fetch("SELECT FROM pg_locks WHERE NOT granted")) < transactions:
        await asyncio.sleep(0.01)


async def start_games(rooms: Sequence[Room]) -> list[GameId]:
    """Let the same two bots play in all rooms at once."""
    players = await rooms[0].players(2)
    bots = ["random", "random"]
    games = [await room.game("four_in_a_row", bots, players) for room in rooms]
    return [game.game_id for game in games]


async def completed(games: Sequence[GameId], room: Room) -> None:
    await asyncio.gather(*map(room.completed, games))


async def recounted(database: Database, *, repair: bool) -> list[tuple[object, str | None]]:
    """Recount everybody; give what differed and what was in the way."""
    rebuild = GameAuditor(database, find_rulesets()).rebuild(repair=repair)
    return [
        (account.differences, account.problem) async for account in rebuild.recount_all_players()
    ]
