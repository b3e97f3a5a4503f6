"""`docs/guides/webhooks.md` against the code."""

import json
import re
from pathlib import Path

import pytest

from protocol.domain_events import DURABLE_EVENTS
from server.domains.integrations.webhooks import rules

PAGE = (Path(__file__).parents[3] / "docs" / "guides" / "webhooks.md").read_text()
EXAMPLES = [
    json.loads(line)
    for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]


def test_every_event_has_an_example() -> None:
    assert sorted(example["type"] for example in EXAMPLES) == sorted(DURABLE_EVENTS)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: str(example["type"]))
def test_every_example_is_what_is_sent(example: dict[str, object]) -> None:
    model = DURABLE_EVENTS[str(example["type"])]
    assert list(example) == ["type", "version", "timestamp", "data"]
    assert example["version"] == model.version
    event = model.model_validate_json(json.dumps(example["data"]))
    assert event.model_dump() == example["data"]


def test_pauses_are_those_of_the_code() -> None:
    text = " ".join(PAGE.split())
    hours = [f"{pause / 3600:g}" for pause in rules.PAUSES_S if pause >= 3600]
    sentence = f"5 s, 1 min, 5 min, 30 min, then {', '.join(hours[:-1])} and {hours[-1]} hours"
    assert sentence in text
    assert f"After {rules.ATTEMPTS_MAX} attempts" in text
