"""What our players understand of the original El Dorado server, and what they answer."""

import asyncio
from random import Random

import orjson
import pytest
from typer.testing import CliRunner

from loadtest.bench import app
from loadtest.benching.loads import PeerUnavailable
from loadtest.benching.machine import assign_cores
from loadtest.benching.original import OriginalServer
from loadtest.measure import Checks, Counters
from loadtest.players.el_dorado import KIND, ElDoradoBehaviour
from loadtest.scenarios.original import OriginalSeat, OriginalTrace, as_ours, as_theirs, look_at
from loadtest.simulation.trace import AGREE, LEGAL, ORDER, SCORE

PEOPLE = ["a", "b", "c", "d"]
TRICK = {"leaderPlayerId": "c", "ledSuit": "clubs", "plays": [{"playerId": "c"}]}


def view(*hand, phase="PLAYING", table=None, rounds=0):
    """A view as the server sends it; people are not in the order of their seats."""
    seats = [{"playerId": who, "seatIndex": PEOPLE.index(who)} for who in "dbac"]
    return {
        "phase": phase,
        "players": seats,
        "hand": [{"id": card} for card in hand],
        "round": table,
        "roundSummaries": [{}] * rounds,
    }


def table(*, bids=(1, 1, 1, 1), trick=None, completed=(), broken=False):
    return {
        "bids": dict(zip(PEOPLE, bids, strict=True)),
        "trumpSuit": "spades",
        "trumpBroken": broken,
        "startingPlayerId": "b",
        "trickInProgress": trick,
        "completedTricks": list(completed),
    }


def move_of(who, seen):
    behaviour = ElDoradoBehaviour(who, Random(1))
    look_at(seen, behaviour)
    move = behaviour.choose_move()
    return None if move is None else as_theirs(move)


def who_moves(seen):
    return [who for who in PEOPLE if move_of(who, seen) is not None]


@pytest.mark.parametrize(
    ("seen", "who"),
    [
        (view("d0:clubs:2", table=table(bids=(None, None, None, None))), "b"),
        (view("d0:clubs:2", table=table(bids=(None, 1, 0, None))), "d"),
        (view("d0:clubs:2", table=table()), "b"),
        (view("d0:clubs:2", table=table(trick=TRICK)), "d"),
        (view("d0:clubs:2", table=table(completed=[{"winningPlayerId": "a"}])), "a"),
    ],
)
def test_it_is_seen_whose_turn_it_is(seen, who):
    assert who_moves(seen) == [who]


def test_a_bid_is_what_the_hand_is_worth():
    seen = view("d0:spades:J", "d0:clubs:A", "d0:clubs:2", table=table(bids=(None,) * 4))

    assert move_of("b", seen) == {"type": "BID", "value": 2}


@pytest.mark.parametrize("rounds", [1, 2, 3, 4])
def test_the_first_bid_of_the_next_round_is_made_without_a_hand_by_who_is_after_the_dealer(rounds):
    seen = view(phase="SCORING", rounds=rounds)
    who = PEOPLE[(rounds + 1) % 4]

    assert who_moves(seen) == [who]
    assert move_of(who, seen) == {"type": "BID", "value": 0}


def test_suit_is_followed_and_trump_not_led_before_it_is_broken():
    hand = ("d0:spades:3", "d0:clubs:4")

    assert move_of("d", view(*hand, table=table(trick=TRICK)))["cardId"] == "d0:clubs:4"
    assert move_of("b", view(*hand, table=table()))["cardId"] == "d0:clubs:4"
    assert {
        as_theirs(behaviour.choose_move())["cardId"]
        for behaviour in [ElDoradoBehaviour("b", Random(2))]
        for _ in range(50)
        if look_at(view(*hand, table=table(broken=True)), behaviour) is None
    } == set(hand)


# ---------------------------------------------------------------------- what goes wrong


def frame(index, kind, **payload):
    event = {"type": kind, "payload": payload, "eventIndex": index, "timestamp": 1, "gameId": "g"}
    return b'{"type":"GAME_EVENT","event":' + orjson.dumps(event) + b"}"


GAME = [
    *(frame(n, "PLAYER_BID", playerId=who, bid=0) for n, who in enumerate(PEOPLE)),
    frame(4, "TRICK_COMPLETED", trickIndex=0, winningPlayerId="a", winningCardId="d0:clubs:2"),
    frame(5, "ROUND_SCORED", deltas={}, cumulativeScores={}),
    frame(6, "GAME_COMPLETED", finalScores={"a": -5, "b": 5, "c": 5, "d": 5}),
]


async def checks_of(*, of_first, of_others=GAME):
    """Give what four clients check of a game whose frames they get in turns."""
    checks = Checks()
    trace = OriginalTrace(KIND, "g", PEOPLE, checks)
    for who, frames in zip(PEOPLE, [of_first, *[of_others] * 3], strict=True):
        seat = OriginalSeat(Counters(), Random(1))
        seat.take_frame(orjson.dumps({"type": "WELCOME", "playerId": who}))
        seat.follow(trace)
        for each in frames:
            if not trace.went_wrong:
                seat.take_frame(each)
    if trace.done.is_set() and not trace.went_wrong:
        trace.finish(token="")
    return {name: (each.passed, each.failed) for name, each in checks.by_name.items()}


def test_a_game_that_all_clients_saw_alike_is_checked():
    expected = {ORDER: (4, 0), AGREE: (1, 0), SCORE: (1, 0)}

    assert asyncio.run(checks_of(of_first=GAME)) == expected


@pytest.mark.parametrize(
    ("changed", "check"),
    [
        ([*GAME[:2], GAME[3]], ORDER),
        ([*GAME[:2], GAME[1]], ORDER),
        ([frame(0, "PLAYER_BID", playerId="a", bid=1), *GAME[1:]], AGREE),
        ([frame(0, "INVALID_ACTION", playerId="a", action="BID", reason="no")], LEGAL),
        ([*GAME[:6], frame(6, "GAME_COMPLETED", finalScores={"a": 5})], SCORE),
    ],
)
def test_a_game_that_went_wrong_is_noticed(changed, check):
    others = changed if check == SCORE else GAME

    assert asyncio.run(checks_of(of_first=changed, of_others=others))[check][1] == 1


def test_its_words_are_ours():
    event = orjson.loads(GAME[4])["event"]

    assert as_ours(event)["event"] == "trick_completed"
    assert as_ours(event)["payload"]["player_id"] == "a"
    assert as_theirs({"type": "play_card", "card": "d0:clubs:2"})["cardId"] == "d0:clubs:2"


# ---------------------------------------------------------------------- without the server


def test_a_folder_that_is_missing_or_not_built_is_explained(tmp_path):
    with pytest.raises(PeerUnavailable, match="with --el-dorado or PLAYHALL_EL_DORADO"):
        OriginalServer(None, tmp_path / "a", on=assign_cores())
    with pytest.raises(PeerUnavailable, match="build the server as loadtest/peers/el_dorado"):
        OriginalServer(tmp_path, tmp_path / "b", on=assign_cores())


def test_the_command_knows_the_original_server():
    result = CliRunner().invoke(app, ["--peer", "nobody"])

    assert result.exit_code == 2
    assert "el-dorado" in result.output
