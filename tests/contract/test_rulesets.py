"""What every game promises, whichever it is; `server.gamekit.conformance` has the promises.

Runs on every folder under `server/rulesets/`, and under the directories in the
environment's `PLAYHALL_RULESETS_PATH` (separated as in `PATH`).
"""

import os
from collections.abc import Iterator

import pytest

from server.gamekit.conformance import SEED, Question, list_questions
from server.rulesets import find_rulesets, parse_folder_list

RULESETS = find_rulesets(*parse_folder_list(os.environ.get("PLAYHALL_RULESETS_PATH", "")))


def questions() -> Iterator[object]:
    for newest in RULESETS.values():
        for each in list_questions(newest):
            version = f"-{each.ruleset.version}" if each.is_earlier else ""
            for seats, which in zip(each.seats, ("fewest", "most"), strict=False):
                name = f"{each.ruleset.name}{version}-{which}-{each.promise.name}"
                yield pytest.param(each._replace(seats=(seats,)), id=name)


@pytest.mark.parametrize("question", [*questions()])
def test_ruleset_keeps_its_promise(question: Question) -> None:
    if question.exempt is not None:
        pytest.skip(f"{question.ruleset.name}: {question.exempt}")
    failure = question.find_failure(SEED)
    assert failure is None, failure.explain()
