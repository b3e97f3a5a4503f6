"""A running game goes on by the version of its rules that it began with."""

import asyncio

from persistence.database import Database
from protocol.ids import GameId
from server.domains.play.games.live_game import LiveGame
from server.ops.audit.commands import GameAuditor
from server.rulesets import find_rulesets
from tests.integration.audit.conftest import open_room
from tests.integration.games.conftest import Asked, Room, act

NEWEST = find_rulesets()["el_dorado"]


async def begun(room: Room) -> GameId:
    """Begin a game of three, of whom the second leaves; it has played one move."""
    config = {"rounds": 1, "turn_timeout_s": 86_400.0}  # nobody's time is up in this test
    game = await room.game("el_dorado", [None, None, "random"], **config)
    await act(game, 0, 1, {"type": "bid", "bid": 0})
    left = Asked()
    game.record_presence("player_left", 1, left)
    await left.future
    return game.game_id


async def test_game_of_an_earlier_version_is_taken_up_and_ends_by_its_rules(
    database: Database,
) -> None:
    (earlier,) = NEWEST.earlier
    async with open_room(database, rulesets={"el_dorado": earlier}) as room:
        games = {await begun(room) for _ in range(4)}
    async with open_room(database) as room:
        assert await room.registry.reclaim_own() == len(games)
        for game_id in games:
            game = room.registry.find_loaded(game_id)
            assert game is not None
            assert game.fold.ruleset is earlier
            await play_seat_0(game)
            await room.completed(game.game_id)
    (row,) = await room.fetch(
        "SELECT count(*) FILTER (WHERE g.ruleset_version = 1) AS games,"
        " count(*) FILTER (WHERE mp.forfeited) AS forfeited"
        " FROM games g JOIN matches m ON m.game_id = g.id"
        " JOIN match_players mp ON mp.match_id = m.id"
    )
    assert (row["games"], row["forfeited"]) == (3 * len(games), 0)
    context = GameAuditor(database, find_rulesets())
    for game_id in games:
        report = await context.verify_game(game_id)
        assert report.holds, report


async def play_seat_0(game: LiveGame) -> None:
    """Play what the rules play for the absent, until the game is over."""
    cmd_no = 1
    while not game.closed:
        turn = game.fold.turn
        if turn is None or turn.seats != (0,):
            await asyncio.sleep(0.01)  # others play
            continue
        cmd_no += 1
        await act(game, 0, cmd_no, game.fold.ruleset.timeout_move(game.fold.state, 0))


async def test_new_games_begin_with_the_newest_version(database: Database) -> None:
    async with open_room(database) as room:
        game = await room.game("el_dorado", ["random"] * 2, rounds=1)
        await room.completed(game.game_id)
        (row,) = await room.fetch("SELECT ruleset_version FROM games")
    assert row["ruleset_version"] == NEWEST.version == 2
