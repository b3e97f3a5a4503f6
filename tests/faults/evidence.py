"""Reads what the database has, for the checker."""

from collections import Counter
from copy import deepcopy

import orjson

from persistence.database import Connection, Database
from persistence.games.model import StoredGame
from persistence.games.store import SQL, parse_game_row
from protocol.ids import GameId
from server.core.clock import wire_time
from tests.faults.checker import Evidence, StoredEvent, findings
from tests.faults.recording import Player
from tests.faults.table import Figures
from tests.faults.toll import toll


async def read_evidence(dsn: str) -> Evidence:
    """Read every game of a database, as its superuser."""
    database = await Database.open(dsn, embedded=True, allow_unsafe=True)
    try:
        return await _read(database)
    finally:
        await database.close()


async def _read(database: Database) -> Evidence:
    async with (
        database.acquire() as connection,
        # Servers may be writing: all of this is read as of one moment.
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        ids = [record["id"] for record in await connection.fetch("SELECT id FROM games")]
        summaries = await connection.fetch("SELECT game_id, final_scores FROM game_summaries")
        matches = await connection.fetch("SELECT game_id FROM matches")
        statistics = await connection.fetch(
            "SELECT player_id, games_played, games_won, total_points, total_tricks_won "
            "FROM player_lifetime_stats"
        )
        logs = {game_id: await _log(connection, game_id) for game_id in ids}
        games = {game_id: await _game(connection, game_id) for game_id in ids}
    return Evidence(
        games={game_id: game for game_id, game in games.items() if game is not None},
        logs=logs,
        summaries={row["game_id"]: orjson.loads(row["final_scores"]) for row in summaries},
        matches=Counter(row["game_id"] for row in matches),
        statistics={
            row["player_id"]: {key: value for key, value in row.items() if key != "player_id"}
            for row in statistics
        },
    )


async def _game(connection: Connection, game_id: GameId) -> StoredGame | None:
    record = await connection.fetchrow(SQL["find_game"], game_id)
    return None if record is None else parse_game_row(record)


async def _log(connection: Connection, game_id: GameId) -> list[StoredEvent]:
    records = await connection.fetch(
        "SELECT event_index, type, payload, created_at, hash "
        "FROM game_events WHERE game_id = $1 ORDER BY event_index",
        game_id,
    )
    return [
        StoredEvent(
            row["event_index"],
            row["type"],
            orjson.loads(row["payload"]),
            int(row["created_at"].timestamp() * 1000 + 0.5),
            wire_time(row["created_at"]),
            row["hash"],
        )
        for row in records
    ]


async def assert_kept(dsn: str, players: list[Player], figures: Figures | None = None) -> Evidence:
    """Check every promise against what these players wrote down, and count it for the table."""
    # As of now: what is heard while the evidence is read may have been committed after it.
    witnesses = [deepcopy(player.witness) for player in players]
    evidence = await read_evidence(dsn)
    if figures is not None:
        cost = toll(evidence, witnesses)
        figures.count("commands acknowledged", cost.acknowledged)
        figures.count("events seen live", cost.seen)
        figures.count("events or acknowledged commands lost", cost.lost)
        figures.count("events or commands duplicated", cost.repeated)
        figures.count("events reordered", cost.reordered)
    assert not (broken := findings(evidence, witnesses)), "\n".join(broken)
    assert await _xp_that_no_match_brought(dsn) == []
    return evidence


async def _xp_that_no_match_brought(dsn: str) -> list[str]:
    """List the accounts whose XP is not what their matches brought, each once by the rule."""
    database = await Database.open(dsn, embedded=True, allow_unsafe=True)
    try:
        async with database.acquire() as connection:
            rows = await connection.fetch(
                """
                SELECT f.username FROM profiles f JOIN players p ON p.user_id = f.id::text
                LEFT JOIN match_players mp ON mp.player_id = p.id AND NOT mp.forfeited
                LEFT JOIN matches m ON m.id = mp.match_id AND m.uncounted IS NULL
                GROUP BY f.id HAVING f.xp_total <> coalesce(
                    sum(10 + 25 * mp.is_winner::int) FILTER (WHERE m.id IS NOT NULL), 0)
                """
            )
    finally:
        await database.close()
    return [username for (username,) in rows]
