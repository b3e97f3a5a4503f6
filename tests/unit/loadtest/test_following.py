import pytest

from loadtest.line.errors import Lost, OutOfOrder
from loadtest.line.following import Following
from loadtest.line.moves import Moves
from loadtest.line.wires import Closed


class Desk:
    """A following, and what it told."""

    def __init__(self):
        self.taken, self.failures, self.done = [], [], []
        self.moves = Moves(lambda *_: None, lambda _, action: action())
        self.following = Following(
            "game",
            self.moves,
            on_event=lambda message: self.taken.append(message["event_index"]),
            on_failure=self.failures.append,
        )
        self.following.seat = 1
        self.moves.open(0)

    def take(self, index, kind="said", **payload):
        message = {"event_index": index, "event": kind, "payload": payload, "at": ""}
        self.following.take(message)


@pytest.fixture
def desk():
    return Desk()


def test_contiguous_events_are_taken(desk):
    for index in range(3):
        desk.take(index)

    assert desk.taken == [0, 1, 2]
    assert desk.failures == []


@pytest.mark.parametrize(
    ("indexes", "taken", "word"),
    [
        ([0, 2, 1], [0], "missing"),
        ([1], [], "missing"),
        ([0, 1, 1, 2], [0, 1], "repeated"),
        ([0, 1, 0], [0, 1], "repeated"),
    ],
)
def test_gap_or_repeat_ends_the_following(desk, indexes, taken, word):
    for index in indexes:
        desk.take(index)

    (failure,) = desk.failures
    assert isinstance(failure, OutOfOrder)
    assert word in str(failure)
    assert desk.taken == taken


def test_failure_is_told_to_moves_under_way(desk):
    desk.moves.make({}, lambda reply, _: desk.done.append(reply))
    desk.following.fail(Lost("gone"))
    desk.following.fail(Lost("again"))

    assert [str(error) for error in desk.done + desk.failures] == ["gone", "gone"]


def test_paused_following_drops_what_comes(desk):
    desk.take(0)
    desk.following.paused = True
    desk.take(1)
    desk.take(2)
    desk.following.paused = False
    desk.take(1)

    assert desk.taken == [0, 1]


def test_own_command_in_the_log_is_noted_and_others_are_not(desk):
    desk.moves.make({}, lambda *_: None)
    desk.take(0, _cmd=[0, 1])
    assert desk.moves.under_way[0].logged is None
    desk.take(1, _cmd=[1, 1])
    assert desk.moves.under_way[0].logged == {"type": "ok", "event_index": 1}


def test_own_misplay_in_the_log_is_noted_as_a_refusal(desk):
    desk.moves.make({}, lambda *_: None)
    desk.take(0, "invalid_action", _cmd=[1, 1], code="must_follow_suit", message="You hold one.")

    logged = desk.moves.under_way[0].logged
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
    assert Closed(code, "").retry is retry
