import pytest

from playhall.errors import ConnectionLost, EventOutOfOrder
from playhall.game import GameStream, MoveQueue
from playhall.transport import WebsocketClosed


class Harness:
    """A stream, and what it passed on."""

    def __init__(self):
        self.taken, self.failures, self.done = [], [], []
        self.moves = MoveQueue(lambda *_: None, lambda _, action: action())
        self.stream = GameStream(
            "game",
            self.moves,
            on_event=lambda message: self.taken.append(message["event_index"]),
            on_failure=self.failures.append,
        )
        self.stream.seat = 1
        self.moves.on_connected(0)

    def take(self, index, kind="said", **payload):
        message = {"event_index": index, "event": kind, "payload": payload, "at": ""}
        self.stream.handle_event(message)


@pytest.fixture
def harness():
    return Harness()


def test_contiguous_events_are_taken(harness):
    for index in range(3):
        harness.take(index)

    assert harness.taken == [0, 1, 2]
    assert harness.failures == []


@pytest.mark.parametrize(
    ("indexes", "taken", "word"),
    [
        ([0, 2, 1], [0], "missing"),
        ([1], [], "missing"),
        ([0, 1, 1, 2], [0, 1], "repeated"),
        ([0, 1, 0], [0, 1], "repeated"),
    ],
)
def test_gap_or_repeat_ends_the_stream(harness, indexes, taken, word):
    for index in indexes:
        harness.take(index)

    (failure,) = harness.failures
    assert isinstance(failure, EventOutOfOrder)
    assert word in str(failure)
    assert harness.taken == taken


def test_failure_is_the_answer_to_moves_under_way(harness):
    harness.moves.send_move({}, lambda reply, _: harness.done.append(reply))
    harness.stream.fail(ConnectionLost("gone"))
    harness.stream.fail(ConnectionLost("again"))

    assert [str(error) for error in harness.done + harness.failures] == ["gone", "gone"]


def test_paused_stream_drops_what_comes(harness):
    harness.take(0)
    harness.stream.paused = True
    harness.take(1)
    harness.take(2)
    harness.stream.paused = False
    harness.take(1)

    assert harness.taken == [0, 1]


def test_own_command_in_the_log_is_noted_and_others_are_not(harness):
    harness.moves.send_move({}, lambda *_: None)
    harness.take(0, _cmd=[0, 1])
    assert harness.moves.under_way[0].logged is None
    harness.take(1, _cmd=[1, 1])
    assert harness.moves.under_way[0].logged == {"type": "ok", "event_index": 1}


def test_own_refused_move_in_the_log_is_noted_as_a_refusal(harness):
    harness.moves.send_move({}, lambda *_: None)
    harness.take(0, "invalid_action", _cmd=[1, 1], code="must_follow_suit", message="You hold one.")

    logged = harness.moves.under_way[0].logged
    assert (logged["type"], logged["code"], logged["event_index"]) == (
        "error",
        "must_follow_suit",
        0,
    )


@pytest.mark.parametrize(
    ("code", "retry"),
    [(1006, True), (1001, True), (4000, True), (4002, False), (4099, True), (4100, False)],
)
def test_close_codes_say_whether_to_come_back(code, retry):
    assert WebsocketClosed(code, "").retry is retry
