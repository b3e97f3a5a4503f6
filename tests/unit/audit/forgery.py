"""Logs as a server would have written them, and as a forger would: hashes always right."""

from collections.abc import Sequence
from datetime import UTC, datetime

import orjson

from persistence.eventlog.hashchain import canonical_json, genesis_hash, link_hash
from persistence.eventlog.writer import EventRow
from protocol.ids import GameId
from server.core.clock import datetime_from_ms
from server.gamekit.conformance.playout import Playout, written
from server.gamekit.contract import Event
from server.ops.audit.evidence import GameEvidence
from server.ops.audit.findings import Finding
from server.ops.audit.verify import verify_game
from server.rulesets import find_rulesets

GAME = GameId("0b54d0b8-5d5e-4a8e-9a60-3f1a0f6d6a55")
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
RULESETS = find_rulesets()


def el_dorado(*bots: str, rounds: int = 2, seed: str = "seed") -> Playout:
    """A table of bots, before its first event."""
    ruleset = RULESETS["el_dorado"]
    config = ruleset.config.model_validate({"rounds": rounds})
    return Playout(ruleset, len(bots) or 3, seed, config=config, bots=bots)


def copied(log: Sequence[Event]) -> list[Event]:
    """Give events that can be forged without touching the game that they are of."""
    return [Event(*each) for each in orjson.loads(written(log))]


def chained(log: Sequence[Event]) -> list[EventRow]:
    """Store events with the hashes that they should have."""
    rows, last = [], genesis_hash(GAME)
    for index, event in enumerate(log):
        payload = canonical_json(event.payload)
        last = link_hash(last, index, event.type, payload)
        at = datetime_from_ms(event.payload["_at"]) if "_at" in event.payload else AT
        rows.append(EventRow(index, event.type, payload, at, last))
    return rows


def findings(rows: Sequence[EventRow]) -> dict[str, Finding]:
    """Verify a log that stands alone."""
    report = verify_game(GameEvidence(GAME, rows), RULESETS)
    return {finding.check: finding for finding in report.findings}


def forged(log: Sequence[Event]) -> str:
    """Say what the rules have against a log whose hashes are right."""
    found = findings(chained(log))
    assert found["order"].holds
    assert found["chain"].holds
    assert found["rules"].holds is False
    return found["rules"].sentence
