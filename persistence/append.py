"""The parameters of the log's statements."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import orjson

from persistence.completion import NO_XP, Completion, XpRule
from persistence.database import Connection
from persistence.queries import load
from protocol.ids import GameId

if TYPE_CHECKING:
    from persistence.log import Row

SQL = load("log")


def append_columns(games: Sequence[tuple[GameId, int, Sequence["Row"]]]) -> tuple[Any, ...]:
    """Lay the rows of some games out as the columns of `append`.

    Each game is (id, owner epoch, rows); rows name their game by its place, from 1 on.
    """
    ids = [game_id for game_id, _, _ in games]
    epochs = [epoch for _, epoch, _ in games]
    expected = [rows[0].event_index for _, _, rows in games]
    counts = [len(rows) for _, _, rows in games]
    nths = [nth for nth, (_, _, rows) in enumerate(games, 1) for _ in rows]
    every = [row for _, _, rows in games for row in rows]
    return ids, epochs, expected, counts, nths, *row_columns(every)


def row_columns(rows: Sequence["Row"]) -> tuple[Any, ...]:
    """Lay rows out as columns: indexes, types, payloads, times, hashes."""
    return tuple(map(list, zip(*rows, strict=True)))


async def write_completion(
    connection: Connection, game_id: GameId, completion: Completion, xp: XpRule
) -> None:
    """Write the summary, everybody's statistics, XP and the match, and close the lobby."""
    players = [result.player_id for result in completion.results]
    scores = [result.score for result in completion.results]
    won = [result.is_winner for result in completion.results]
    forfeited = [result.forfeited for result in completion.results]
    seats = [result.seat for result in completion.results]
    at = completion.at
    # Also for a game that is not counted: the locks keep a player who is being erased from
    # getting into the summary by name.
    await connection.execute(SQL["ensure_stats"], players)
    await connection.execute(SQL["lock_stats"], players)
    if completion.uncounted is None:
        counted = [result.counted_score for result in completion.results]
        tricks = [result.counted_tricks for result in completion.results]
        await connection.execute(SQL["apply_stats"], game_id, players, counted, tricks, won, at)
    else:
        xp = NO_XP
    await connection.execute(SQL["insert_summary"], game_id, *_summary_columns(completion))
    await connection.execute(SQL["complete_game"], game_id, at)
    how = (completion.winner_id, completion.uncounted)
    match = await connection.fetchval(SQL["insert_match"], game_id, at, *how)
    shares = (match, players, seats, scores, won, at, xp.per_game, xp.per_win, forfeited)
    await connection.execute(SQL["insert_match_players"], *shares)
    await connection.execute(SQL["close_lobby"], game_id, at)
    await connection.execute(SQL["unlist_room"], game_id)


def _summary_columns(completion: Completion) -> tuple[Any, ...]:
    summary = completion.summary
    return (
        orjson.dumps(summary.players),
        orjson.dumps(summary.rounds),
        orjson.dumps(summary.final_scores),
        summary.highest_bid,
        summary.highest_score,
        summary.lowest_score,
        summary.most_consecutive_wins,
        summary.most_consecutive_losses,
        summary.highest_misplay,
    )
