"""A game from its first event to its statistics."""

import asyncio

import orjson

from persistence.eventlog.hashchain import genesis_hash
from server.domains.play.games.recovery import recover_game
from server.domains.play.games.results import build_game_summary
from server.rulesets import find_rulesets
from tests.integration.games.conftest import Recorder, Room


async def test_bots_play_el_dorado_and_everything_agrees(room: Room) -> None:
    game = await room.game("el_dorado", ["bid_and_duck", "random", "random", "bid_and_duck"])
    watcher = Recorder()
    game.subscribers.admit(watcher, None)
    start = game.head
    await room.completed(game.game_id)

    rows = await room.store.read_log(game.game_id)
    assert [row.event_index for row in rows] == list(range(len(rows)))
    assert 410 <= len(rows) <= 432  # trump is broken in up to ten rounds
    assert [event["event_index"] for event in watcher.events] == list(range(start + 1, len(rows)))

    kept = await room.store.find(game.game_id)
    assert kept is not None
    fold = recover_game(kept, rows, find_rulesets()["el_dorado"]).fold
    outcome = fold.outcome()
    assert outcome is not None
    summary = build_game_summary(fold.table, outcome)
    [stored] = await room.fetch("SELECT * FROM game_summaries WHERE game_id = $1", game.game_id)
    assert orjson.loads(stored["final_scores"]) == summary.final_scores
    assert orjson.loads(stored["rounds"]) == summary.rounds
    players = orjson.loads(stored["players"])
    names = [player.pop("display_name") for player in players]
    assert names == ["Player 0", "Player 1", "Player 2", "Player 3"]
    assert players == summary.players
    assert stored["highest_score"] == max(summary.final_scores.values())

    for standing in outcome.standings:
        player_id = fold.table.seats[standing.seat].player_id
        [stats] = await room.fetch(
            "SELECT * FROM player_lifetime_stats WHERE player_id = $1", player_id
        )
        assert stats["games_played"] == 1
        assert stats["games_won"] == stats["current_win_streak"] == int(standing.is_winner)
        assert stats["highest_score"] == stats["lowest_score"] == standing.score
        assert stats["total_tricks_won"] == standing.statistics["tricks_won"]
    assert rows[0].hash != genesis_hash(game.game_id)
    await asyncio.sleep(0)
    assert room.over == [game.lobby_id]
    [lobby] = await room.fetch("SELECT status FROM lobbies WHERE id = $1", game.lobby_id)
    assert lobby["status"] == "CLOSED"
    [match] = await room.fetch("SELECT * FROM matches WHERE game_id = $1", game.game_id)
    assert (
        len(await room.fetch("SELECT 1 FROM match_players WHERE match_id = $1", match["id"])) == 4
    )


STATISTICS = (
    "SELECT * FROM player_lifetime_stats WHERE player_id = $1",
    "SELECT * FROM player_ruleset_stats WHERE player_id = $1 AND ruleset = 'el_dorado'",
)


async def test_statistics_add_up_over_games(room: Room) -> None:
    players = await room.players(2)
    scores: list[list[int]] = []
    for _ in range(4):
        game = await room.game("el_dorado", ["random", "random"], players, rounds=2)
        await room.completed(game.game_id)
        outcome = game.fold.outcome()
        assert outcome is not None
        scores.append([standing.score for standing in outcome.standings])
    for seat, player_id in enumerate(players):
        mine = [game[seat] for game in scores]
        won = [game[seat] == max(game) for game in scores]
        for query in STATISTICS:  # of one ruleset alone, both are the same
            found = await room.fetch(query, player_id)
            assert len(found) == 1, query
            [stats] = found
            assert stats["games_played"] == 4
            assert stats["games_won"] == sum(won)
            assert stats["highest_score"] == max(mine)
            assert stats["lowest_score"] == min(mine)
            assert stats["total_points"] == sum(mine)
            assert stats["most_consecutive_wins"] == longest_run(won, value=True)
            assert stats["most_consecutive_losses"] == longest_run(won, value=False)


def longest_run(values: list[bool], *, value: bool) -> int:
    best = run = 0
    for one in values:
        run = run + 1 if one is value else 0
        best = max(best, run)
    return best
