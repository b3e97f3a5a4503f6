"""The checks of a game's stream: green on what was recorded, red on anything else."""

from random import Random

import orjson
import pytest

from loadtest.measure import Checks, Counters
from loadtest.players import KINDS
from loadtest.simulation.player import PlayerHabits, SimulatedPlayer, SimulatedSeat
from loadtest.simulation.trace import AGREE, HIDDEN, ORDER, SCORE, GameTrace
from playhall.account import Account
from playhall.http import HttpClient
from tests.unit.loadtest.games import Hall

MIDDLE = 60


@pytest.fixture(scope="module")
def played():
    return Hall("el_dorado", seed=11, rounds=5).play_out()


class Watchers:
    """The players of a recorded game, fed with frames as a socket would."""

    def __init__(self, played):
        self.played = played
        self.checks = Checks()
        self.counters = Counters()
        self.record = GameTrace(KINDS["el_dorado"], played.game_id, played.players, self.checks)
        self.players = [self._player(player_id) for player_id in played.players]

    def feed(self, frames):
        """Feed everybody frame by frame, in turn."""
        for index in range(max(map(len, frames.values()))):
            for player_id, player in zip(self.played.players, self.players, strict=True):
                for frame in frames[player_id][index : index + 1]:
                    player._take_frame(frame)

    def failed(self):
        return {name for name, each in self.checks.by_name.items() if each.failed}

    def _player(self, player_id):
        account = Account(HttpClient("http://nowhere"), "no token")
        player = SimulatedPlayer("ws://nowhere", account, counters=self.counters, chance=Random(1))
        player.connection.welcome = {"player_id": player_id}
        behaviour = KINDS["el_dorado"].behaviour(player_id, Random(1))
        player.seat = SimulatedSeat(player, self.record, behaviour, PlayerHabits())
        player.connection.streams[self.played.game_id] = player.seat.stream
        return player


async def fed(played, **spoilt):
    """Feed a recording, with some players' frames replaced."""
    watchers = Watchers(played)
    watchers.feed({**played.frames, **spoilt})
    return watchers


async def test_recorded_game_passes_every_check(played):
    watchers = await fed(played)
    finished = watchers.record.finish("token")

    assert watchers.record.done.is_set()
    assert watchers.failed() == set()
    assert watchers.checks.by_name[ORDER].passed == 4
    assert finished.head == len(played.events) - 1
    assert finished.totals == played.events[-1].payload["final_scores"]


async def test_equal_frames_are_not_parsed_again(played, monkeypatch):
    watchers = Watchers(played)
    parsed = []
    loads = orjson.loads
    monkeypatch.setattr("orjson.loads", lambda frame: parsed.append(frame) or loads(frame))
    watchers.feed(played.frames)

    deals = sum(event.type == "cards_dealt" for event in played.events)
    assert len(parsed) == len(played.events) + 3 * deals
    assert watchers.counters.counts["deliveries"] == 4 * len(played.events)


def dropped(frames):
    return frames[:MIDDLE] + frames[MIDDLE + 1 :]


def repeated(frames):
    return frames[: MIDDLE + 1] + frames[MIDDLE:]


def swapped(frames):
    return [*frames[:MIDDLE], frames[MIDDLE + 1], frames[MIDDLE], *frames[MIDDLE + 2 :]]


@pytest.mark.parametrize("spoil", [dropped, repeated, swapped])
@pytest.mark.parametrize("victim", range(4))
async def test_stream_out_of_order_turns_red(played, spoil, victim):
    player = played.players[victim]
    watchers = await fed(played, **{player: spoil(played.frames[player])})

    assert watchers.failed() == {ORDER}
    assert watchers.record.went_wrong


def altered(frame, change):
    message = orjson.loads(frame)
    change(message)
    return orjson.dumps(message)


def _later(message):
    message["at"] = "2026-11-20T12:00:01.000Z"


def _other_type(message):
    message["event"] = "trump_broken"


def _other_payload(message):
    message["payload"]["more"] = 1


def _deep_inside(message):
    player = message["payload"]["player_id"]
    message["payload"]["player_id"] = player[:-1] + ("0" if player[-1] != "0" else "1")


@pytest.mark.parametrize("change", [_later, _other_type, _other_payload, _deep_inside])
@pytest.mark.parametrize("victim", range(4))
async def test_stream_of_another_content_turns_red(played, change, victim):
    player = played.players[victim]
    frames = list(played.frames[player])
    frames[MIDDLE] = altered(frames[MIDDLE], change)
    watchers = await fed(played, **{player: frames})

    assert AGREE in watchers.failed()


@pytest.mark.parametrize("victim", range(4))
async def test_sight_of_another_hand_turns_red(played, victim):
    player, other = played.players[victim], played.players[victim - 1]
    frames = list(played.frames[player])
    deal = next(n for n, event in enumerate(played.events) if event.type == "cards_dealt")
    hand = played.events[deal].payload["hands"][other]
    frames[deal] = altered(
        frames[deal], lambda message: message["payload"]["hands"].update({other: hand})
    )
    watchers = await fed(played, **{player: frames})

    assert HIDDEN in watchers.failed()


@pytest.mark.parametrize("field", ["final_scores", "session_seed"])
async def test_result_that_was_not_earned_turns_red(played, field):
    def change(message):
        wrong = {"final_scores": dict.fromkeys(played.players, 99), "session_seed": "another"}
        message["payload"][field] = wrong[field]

    spoilt = {
        player: [*frames[:-1], altered(frames[-1], change)]
        for player, frames in played.frames.items()
    }
    watchers = await fed(played, **spoilt)
    watchers.record.finish("token")

    assert watchers.failed() == {SCORE}


async def test_events_that_everybody_has_are_let_go(played):
    from loadtest.simulation.trace import TRIM_EVENTS

    kind = KINDS["relay"]
    record = GameTrace(kind, "game", ["a", "b"], Checks())
    for index in range(10 * TRIM_EVENTS):
        message = {"event_index": index, "event": "relayed", "payload": {"n": index}, "at": ""}
        for player in ("a", "b"):
            record.take_event(player, message, b"%d" % index)
            record.note_progress(player, index)

    assert len(record.events) <= 2 * TRIM_EVENTS + 1
    assert record.head == 10 * TRIM_EVENTS - 1
