"""The machine of quests comes to rest, whatever the circumstances."""

from itertools import product

import pytest

from server.domains.progression.quests.machine import (
    TRANSITIONS,
    NotPossible,
    QuestCircumstances,
    QuestInput,
    QuestStatus,
    list_automatic_states,
    transition,
)


def test_every_input_moves_as_the_table_says_or_is_refused() -> None:
    for status, by in product(QuestStatus, QuestInput):
        if by in TRANSITIONS[status]:
            assert transition(status, by) is TRANSITIONS[status][by]
        else:
            with pytest.raises(NotPossible):
                transition(status, by)


def test_whatever_the_circumstances_a_quest_comes_to_rest() -> None:
    for status, truths in product(QuestStatus, product((False, True), repeat=5)):
        now = QuestCircumstances(*truths)
        path = list_automatic_states(status, now)
        assert len(set(path)) == len(path)
        if status in (QuestStatus.COMPLETED, QuestStatus.CLAIMED, QuestStatus.FAILED):
            assert path == [status]
        if path[-1] is QuestStatus.AVAILABLE:
            assert now.is_met
            assert now.is_open
