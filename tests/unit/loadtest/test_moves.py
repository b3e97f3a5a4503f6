"""Numbering and repeating moves, against a server that keeps the contract's promises."""

import pytest

from loadtest.line.errors import Lost, Refused
from loadtest.line.moves import TRIES_MAX, UNDER_WAY_MAX, Moves, event_index_of

OK = {"type": "ok"}
GAP = {"type": "error", "code": "cmd_no_gap", "message": "", "retry": False}
BUSY = {"type": "error", "code": "overloaded", "message": "", "retry": True}
OVER = {"type": "error", "code": "game_over", "message": "", "retry": False}


class Desk:
    """What was sent, and who waits for which reply; pauses last until `wake`."""

    def __init__(self):
        self.sent = []
        self.replies = []
        self.later = []
        self.done = []
        self.moves = Moves(self._send, lambda _, action: self.later.append(action))

    def _send(self, fields, on_reply):
        self.sent.append((fields["cmd_no"], fields["move"]["n"]))
        self.replies.append(on_reply)

    def make(self, n):
        self.moves.make({"n": n}, lambda reply, _: self.done.append((n, reply)))

    def answer(self, reply):
        self.replies.pop(0)(reply)

    def wake(self):
        actions, self.later = self.later, []
        for action in actions:
            action()


@pytest.fixture
def desk():
    desk = Desk()
    desk.moves.open(0)
    return desk


def test_moves_are_numbered_from_1_without_a_hole(desk):
    for n in range(3):
        desk.make(n)
    for index in (10, 11, 12):
        desk.answer({**OK, "event_index": index})
    desk.make(3)

    assert desk.sent == [(1, 0), (2, 1), (3, 2), (4, 3)]
    assert [reply["event_index"] for _, reply in desk.done] == [10, 11, 12]


def test_numbers_go_on_from_the_log(desk):
    desk.moves.open(7)
    desk.make(0)

    assert desk.sent == [(8, 0)]


def test_unanswered_move_is_repeated_under_its_number_on_the_next_connection(desk):
    desk.make(0)
    desk.answer(Lost("gone"))
    desk.moves.hang()
    desk.moves.open(0)

    assert desk.sent == [(1, 0), (1, 0)]
    assert desk.done == []


def test_move_made_while_disconnected_is_sent_on_the_next_connection(desk):
    desk.moves.hang()
    desk.make(0)
    assert desk.sent == []
    desk.moves.open(4)  # what the log has is known better where a move is under way
    assert desk.sent == [(1, 0)]


def test_refusal_in_the_log_uses_up_its_number(desk):
    desk.make(0)
    desk.answer({"type": "error", "code": "must_follow_suit", "message": "", "event_index": 5})
    desk.make(1)

    assert desk.sent == [(1, 0), (2, 1)]


def test_refusal_outside_the_log_leaves_its_number_free(desk):
    desk.make(0)
    desk.answer({"type": "error", "code": "invalid_field", "message": "", "retry": False})
    desk.make(1)

    assert desk.sent == [(1, 0), (1, 1)]
    assert desk.done[0][1]["code"] == "invalid_field"


def test_busy_server_gets_the_same_moves_again_in_order(desk):
    for n in range(3):
        desk.make(n)
    for reply in (BUSY, GAP, GAP):
        desk.answer(reply)
    assert desk.done == []
    desk.wake()

    assert desk.sent[3:] == [(1, 0), (2, 1), (3, 2)]


def test_moves_behind_a_refused_one_move_up(desk):
    for n in range(3):
        desk.make(n)
    desk.answer({"type": "error", "code": "invalid_field", "message": "", "retry": False})
    desk.answer(GAP)
    desk.answer(GAP)
    desk.wake()

    assert desk.sent[3:] == [(1, 1), (2, 2)]


def test_move_that_ended_the_game_unheard_is_known_from_the_log(desk):
    desk.make(0)
    desk.answer(Lost("gone"))
    desk.moves.hang()
    desk.moves.logged(1, 41, None)
    desk.moves.open(0)
    desk.answer(OVER)

    assert desk.done == [(0, {"type": "ok", "event_index": 41})]


def test_move_that_came_too_late_is_refused(desk):
    desk.make(0)
    desk.answer(OVER)

    assert desk.done == [(0, OVER)]


def test_repeating_has_an_end(desk):
    desk.make(0)
    for _ in range(TRIES_MAX):
        desk.answer(BUSY)
        desk.wake()

    assert len(desk.sent) == TRIES_MAX
    assert desk.done == [(0, BUSY)]


def test_too_many_moves_at_once_are_refused_here(desk):
    for n in range(UNDER_WAY_MAX):
        desk.make(n)
    with pytest.raises(Lost):
        desk.make(UNDER_WAY_MAX)


def test_everybody_who_waits_hears_the_end(desk):
    desk.make(0)
    desk.moves.give_up(Lost("over"))

    ((n, error),) = desk.done
    assert n == 0
    with pytest.raises(Lost, match="over"):
        event_index_of(error)


def test_refused_move_raises_its_code():
    with pytest.raises(Refused) as refused:
        event_index_of({**OVER, "event_index": 9})
    assert (refused.value.code, refused.value.event_index) == ("game_over", 9)
