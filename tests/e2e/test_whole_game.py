"""Four guests meet in a lobby and play a whole game of El Dorado, with clients of their own."""

from collections import Counter
from collections.abc import Iterator
from random import Random

import aiohttp
import pytest

from persistence.database import Database
from persistence.games.store import GameStore
from protocol.ids import GameId
from server.domains.play.games.recovery import recover_game
from server.domains.play.games.results import build_game_summary
from server.rulesets import find_rulesets
from tests.faults.client_line import Guest, Json, Line, lines, new_guests
from tests.faults.client_turns import play
from tests.fixtures.node import Node

ROUNDS = 10
SEED = 422
# game_created and game_completed; of each round the start, the deal, the trump, 4 bids, their
# end and the score; of each of 10 + 9 + … + 1 tricks the start, 4 cards and the end.
EVENTS = 2 + ROUNDS * 9 + 55 * 6


@pytest.fixture
def node(tmp_path_factory: pytest.TempPathFactory, serving_dsn: str) -> Iterator[Node]:
    with Node(tmp_path_factory.mktemp("node"), serving_dsn) as node:
        yield node


async def test_four_guests_meet_and_play_el_dorado(node: Node, fresh_dsn: str) -> None:
    guests = await new_guests(node, 4)
    async with lines(node, guests) as table:
        game_id = await _meet(table)
        await play(table, game_id, Random(SEED))
        for line in table:
            assert line.indexes == list(range(len(line.events)))
    async with aiohttp.ClientSession(node.url) as web:
        log = await _read_log(web, game_id)
        _check_log(log, table[0].events)
        summary = await _get(web, f"/v1/games/{game_id}/summary")
        assert summary["final_scores"] == log[-1]["payload"]["final_scores"]
        for guest in guests:
            stats = await _get(web, f"/v1/players/{guest.player_id}/stats")
            assert _shown(stats) == _expected_stats(log, guest), guest
    await _fold_again(fresh_dsn, game_id, summary)


async def _meet(table: list[Line]) -> str:
    """Find each other in the public list, sit down, get ready; the host starts."""
    host, *others = table
    made = await host.ok("lobby.create", ruleset="el_dorado", seats=4, name="Four of us")
    lobby_id = made["lobby"]["lobby_id"]
    for line in others:
        [card] = (await line.ok("lobby.list", ruleset="el_dorado", free_seats=1))["lobbies"]
        assert (card["lobby_id"], card["name"]) == (lobby_id, "Four of us")
        await line.ok("lobby.join", lobby_id=card["lobby_id"])
        await line.ok("lobby.ready", lobby_id=lobby_id)
    await host.ok("lobby.start", lobby_id=lobby_id)
    games = {await _started(line) for line in table}
    assert len(games) == 1
    return games.pop()


async def _started(line: Line) -> str:
    """Wait for the update that a lobby's game has started; give the game."""
    while not line.updates or line.updates[-1]["change"]["kind"] != "started":
        await line.read()
    return str(line.updates[-1]["lobby"]["game_id"])


async def _get(web: aiohttp.ClientSession, path: str) -> Json:
    async with web.get(path) as answer:
        body: Json = await answer.json()
        assert answer.status == 200, body
    return body


async def _read_log(web: aiohttp.ClientSession, game_id: str) -> list[Json]:
    log: list[Json] = []
    while True:
        path = f"/v1/games/{game_id}/events?after={len(log) - 1}&limit=100"
        page = await _get(web, path)
        log += [{key: event[key] for key in event if key != "hash"} for event in page["events"]]
        if len(log) == page["head"] + 1:
            return log


def _check_log(log: list[Json], seen: list[Json]) -> None:
    """The log is whole, and is what a player was sent, with every hand open."""
    counts = Counter(event["event"] for event in log)
    assert 1 <= counts["trump_broken"] <= ROUNDS
    assert len(log) == EVENTS + counts["trump_broken"]
    assert [event["event_index"] for event in log] == list(range(len(log)))
    for stored, sent in zip(log, seen, strict=True):
        if stored["event"] == "cards_dealt":
            assert sent["payload"]["hands"].items() <= stored["payload"]["hands"].items()
            assert len(stored["payload"]["hands"]) == 4
        else:
            assert stored == sent


def _shown(stats: Json) -> Json:
    return {key: stats[key] for key in _STATS}


_STATS = (
    "games_played",
    "games_won",
    "win_rate",
    "highest_score",
    "lowest_score",
    "total_points",
    "total_tricks_won",
    "most_consecutive_wins",
    "most_consecutive_losses",
    "current_win_streak",
    "current_loss_streak",
)


def _expected_stats(log: list[Json], guest: Guest) -> Json:
    """Count from the log, by the rules on paper, what a first game makes of somebody."""
    me = guest.player_id
    results = [e["payload"]["players"][me] for e in log if e["event"] == "round_scored"]
    score = sum(
        (5 + result["bid"]) * (1 if result["bid"] == result["tricks"] else -1) for result in results
    )
    tricks = Counter(e["payload"]["player_id"] for e in log if e["event"] == "trick_completed")
    last = log[-1]["payload"]
    won = int(last["final_scores"][me] == max(last["final_scores"].values()))
    assert last["final_scores"][me] == score
    values = (1, won, won, score, score, score, tricks[me], won, 1 - won, won, 1 - won)
    return dict(zip(_STATS, values, strict=True))


async def _fold_again(dsn: str, game_id: str, stored: Json) -> None:
    """Fold the log once more: the summary that is stored comes out again."""
    database = await Database.open(dsn, embedded=True, allow_unsafe=True)
    try:
        store = GameStore(database, node="checker")
        game = await store.find(GameId(game_id))
        assert game is not None
        assert game.status == "completed"
        fold = recover_game(game, await store.read_log(game.id), find_rulesets()["el_dorado"]).fold
    finally:
        await database.close()
    outcome = fold.outcome()
    assert outcome is not None
    summary = build_game_summary(fold.table, outcome)
    names = [player.pop("display_name") for player in stored["players"]]
    assert all(names)
    sent = {key: value for key, value in stored.items() if key not in ("game_id", "created_at")}
    assert sent == {field: getattr(summary, field) for field in sent}
