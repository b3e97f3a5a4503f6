"""The machine of quests comes to rest, whatever the circumstances."""

from itertools import product

import pytest

from server.domains.progression.quests.machine import (
    TRANSITIONS,
    Circumstances,
    Input,
    NotPossible,
    Status,
    moved,
    settled,
)


def test_every_input_moves_as_the_table_says_or_is_refused() -> None:
    for status, by in product(Status, Input):
        if by in TRANSITIONS[status]:
            assert moved(status, by) is TRANSITIONS[status][by]
        else:
            with pytest.raises(NotPossible):
                moved(status, by)


def test_whatever_the_circumstances_a_quest_comes_to_rest() -> None:
    for status, truths in product(Status, product((False, True), repeat=5)):
        now = Circumstances(*truths)
        path = settled(status, now)
        assert len(set(path)) == len(path)
        if status in (Status.COMPLETED, Status.CLAIMED, Status.FAILED):
            assert path == [status]
        if path[-1] is Status.AVAILABLE:
            assert now.is_met
            assert now.is_open
