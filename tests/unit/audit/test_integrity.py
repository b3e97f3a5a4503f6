"""What is found without any rules: gaps, repeats, broken links, another seed."""

from collections.abc import Sequence

import pytest

from persistence.eventlog.writer import EventRow
from tests.unit.audit.forgery import chained, copied, el_dorado, findings


@pytest.fixture(scope="module")
def rows() -> Sequence[EventRow]:
    """A finished game, stored."""
    return chained(el_dorado(rounds=1).start().play().log)


def failing(rows: Sequence[EventRow]) -> dict[str, str]:
    return {name: found.sentence for name, found in findings(rows).items() if found.holds is False}


def test_missing_event_is_named(rows: Sequence[EventRow]) -> None:
    assert failing([*rows[:7], *rows[8:]]) == {
        "order": "event 7 is missing",
        "chain": "event 8 breaks the hash chain",
    }


def test_repeated_event_is_named(rows: Sequence[EventRow]) -> None:
    assert failing([*rows[:8], *rows[7:]])["order"] == "event 7 appears again after event 7"


def test_exchanged_events_are_named(rows: Sequence[EventRow]) -> None:
    exchanged = [*rows[:5], rows[6], rows[5], *rows[7:]]
    assert failing(exchanged)["order"] == "event 5 is missing"


def test_rules_are_not_asked_about_a_log_with_gaps(rows: Sequence[EventRow]) -> None:
    assert findings(rows[1:])["rules"].sentence == "not checked: the log is not whole"


@pytest.mark.parametrize(
    "change",
    [{"hash": bytes(16)}, {"type": "forged"}, {"payload": b'{"_v":1}'}],
    ids=["hash", "type", "payload"],
)
def test_changed_event_breaks_the_chain_where_it_stands(
    rows: Sequence[EventRow], change: dict[str, object]
) -> None:
    changed = [*rows[:9], rows[9]._replace(**change), *rows[10:]]
    assert failing(changed)["chain"] == "event 9 breaks the hash chain"


def test_unreadable_event_is_named(rows: Sequence[EventRow]) -> None:
    for payload in (b"{", b"[]"):
        changed = [*rows[:3], rows[3]._replace(payload=payload), *rows[4:]]
        assert failing(changed)["chain"].startswith("event 3 cannot be read: ")
        assert findings(changed)["rules"].holds is None


def test_seed_that_was_not_committed_to_is_found() -> None:
    lie = copied(el_dorado(rounds=1).start().play().log)
    lie[-1].payload["session_seed"] = "another"
    assert failing(chained(lie))["seed"] == "event 0 does not commit to this game's seed"


def test_log_that_begins_with_something_else_is_found(rows: Sequence[EventRow]) -> None:
    lie = copied(el_dorado(rounds=1).start().play().log)[1:]
    assert failing(chained(lie))["seed"] == (
        "event 0 is round_started, which does not say what game this is"
    )
