"""Numbering and repeating moves, against a server that keeps the contract's promises."""

import pytest

from playhall.errors import ConnectionLost, EventOutOfOrder, RequestRefused
from playhall.game import PENDING_MOVES_MAX, TRIES_MAX, MoveQueue, event_index_of

OK = {"type": "ok"}
GAP = {"type": "error", "code": "cmd_no_gap", "message": "", "retry": False}
BUSY = {"type": "error", "code": "overloaded", "message": "", "retry": True}
OVER = {"type": "error", "code": "game_over", "message": "", "retry": False}


class Harness:
    """What was sent, and who waits for which reply; pauses last until `wake`."""

    def __init__(self):
        self.sent = []
        self.replies = []
        self.later = []
        self.done = []
        self.moves = MoveQueue(self._send, lambda _, action: self.later.append(action))

    def _send(self, fields, on_reply):
        self.sent.append((fields["cmd_no"], fields["move"]["n"]))
        self.replies.append(on_reply)

    def make(self, n):
        self.moves.send_move({"n": n}, lambda reply, _: self.done.append((n, reply)))

    def answer(self, reply):
        self.replies.pop(0)(reply)

    def wake(self):
        actions, self.later = self.later, []
        for action in actions:
            action()


@pytest.fixture
def harness():
    harness = Harness()
    harness.moves.on_connected(0)
    return harness


def test_moves_are_numbered_from_1_without_a_hole(harness):
    for n in range(3):
        harness.make(n)
    for index in (10, 11, 12):
        harness.answer({**OK, "event_index": index})
    harness.make(3)

    assert harness.sent == [(1, 0), (2, 1), (3, 2), (4, 3)]
    assert [reply["event_index"] for _, reply in harness.done] == [10, 11, 12]


def test_numbers_go_on_from_the_log(harness):
    harness.moves.on_connected(7)
    harness.make(0)

    assert harness.sent == [(8, 0)]


def test_unanswered_move_is_repeated_under_its_number_on_the_next_connection(harness):
    harness.make(0)
    harness.answer(ConnectionLost("gone"))
    harness.moves.on_disconnected()
    harness.moves.on_connected(0)

    assert harness.sent == [(1, 0), (1, 0)]
    assert harness.done == []


def test_move_made_while_disconnected_is_sent_on_the_next_connection(harness):
    harness.moves.on_disconnected()
    harness.make(0)
    assert harness.sent == []
    harness.moves.on_connected(4)  # what the log has is known better where a move is under way
    assert harness.sent == [(1, 0)]


def test_refusal_in_the_log_uses_up_its_number(harness):
    harness.make(0)
    harness.answer({"type": "error", "code": "must_follow_suit", "message": "", "event_index": 5})
    harness.make(1)

    assert harness.sent == [(1, 0), (2, 1)]


def test_refusal_outside_the_log_leaves_its_number_free(harness):
    harness.make(0)
    harness.answer({"type": "error", "code": "invalid_field", "message": "", "retry": False})
    harness.make(1)

    assert harness.sent == [(1, 0), (1, 1)]
    assert harness.done[0][1]["code"] == "invalid_field"


def test_busy_server_gets_the_same_moves_again_in_order(harness):
    for n in range(3):
        harness.make(n)
    for reply in (BUSY, GAP, GAP):
        harness.answer(reply)
    assert harness.done == []
    harness.wake()

    assert harness.sent[3:] == [(1, 0), (2, 1), (3, 2)]


def test_moves_behind_a_refused_one_move_up(harness):
    for n in range(3):
        harness.make(n)
    harness.answer({"type": "error", "code": "invalid_field", "message": "", "retry": False})
    harness.answer(GAP)
    harness.answer(GAP)
    harness.wake()

    assert harness.sent[3:] == [(1, 1), (2, 2)]


def test_move_that_ended_the_game_unheard_is_known_from_the_log(harness):
    harness.make(0)
    harness.answer(ConnectionLost("gone"))
    harness.moves.on_disconnected()
    harness.moves.on_logged(1, 41, None)
    harness.moves.on_connected(0)
    harness.answer(OVER)

    assert harness.done == [(0, {"type": "ok", "event_index": 41})]


def test_move_that_came_too_late_is_refused(harness):
    harness.make(0)
    harness.answer(OVER)

    assert harness.done == [(0, OVER)]


def test_repeating_has_an_end(harness):
    harness.make(0)
    for _ in range(TRIES_MAX):
        harness.answer(BUSY)
        harness.wake()

    assert len(harness.sent) == TRIES_MAX
    assert harness.done == [(0, BUSY)]


def test_too_many_moves_at_once_are_refused_here(harness):
    for n in range(PENDING_MOVES_MAX):
        harness.make(n)
    with pytest.raises(ConnectionLost):
        harness.make(PENDING_MOVES_MAX)


def test_everybody_who_waits_hears_the_end(harness):
    harness.make(0)
    harness.moves.fail_all(ConnectionLost("over"))

    ((n, error),) = harness.done
    assert n == 0
    with pytest.raises(ConnectionLost, match="over"):
        event_index_of(error)


def test_refused_move_raises_its_code():
    with pytest.raises(RequestRefused) as refused:
        event_index_of({**OVER, "event_index": 9})
    assert (refused.value.code, refused.value.event_index) == ("game_over", 9)


def test_answer_that_comes_after_all_moves_were_failed_changes_nothing(harness):
    harness.make(0)
    harness.moves.fail_all(EventOutOfOrder("an event is missing"))
    harness.answer({**OK, "event_index": 10})

    assert [type(reply) for _, reply in harness.done] == [EventOutOfOrder]
    assert harness.later == []
