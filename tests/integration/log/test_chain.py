"""Canonical payloads survive the database, whatever is in them."""

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persistence.database import Database
from persistence.eventlog.hashchain import InvalidPayload, canonical_json, genesis_hash, link_hash
from protocol.ids import GameId
from protocol.limits import PAYLOAD_BYTES_MAX

text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
numbers = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([-0.0, 0.0, 1e15, 1e16, 1e17, 1e19, 2e19, -1e16, -1e19, 5e-324, 1e-7, 1e300]),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, text),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(text, inner, max_size=4)),
    max_leaves=15,
)
payloads = st.dictionaries(text, values, max_size=5)


@given(batch=st.lists(payloads, min_size=1, max_size=40))
@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_payload_read_back_is_canonically_the_same(
    database: Database, batch: list[dict[str, object]]
) -> None:
    written = [canonical_json(payload) for payload in batch]
    async with database.acquire() as connection:
        read = await connection.fetchval(
            "SELECT array_agg(p) FROM unnest($1::jsonb[]) AS p", written
        )
    assert [canonical_json(orjson.loads(payload)) for payload in read] == written


@pytest.mark.parametrize(
    "payload",
    [
        {"text": "a\0b"},
        {"deep": [{"a\0": 1}]},
        {"big": 2**64},
        {"big": "x" * PAYLOAD_BYTES_MAX},
        {"lone": "\ud800"},
        {1: "keys are text"},
        {"a set": {1}},
    ],
)
def test_what_the_database_cannot_keep_is_refused(payload: dict[str, object]) -> None:
    with pytest.raises(InvalidPayload):
        canonical_json(payload)


def test_text_that_only_looks_like_nul_is_kept() -> None:
    assert canonical_json({"text": "\\u0000"}) == b'{"text":"\\\\u0000"}'


def test_chain_is_as_documented() -> None:
    """The vector is BLAKE2b-128 as in `docs/explanation/fairness.md`, by another program."""
    game = GameId("00112233-4455-6677-8899-aabbccddeeff")
    first = link_hash(genesis_hash(game), 0, "moved", b'{"a":1}')
    hashed = bytes.fromhex("00112233445566778899aabbccddeeff") + b"\0\0\0\0moved\0" + b'{"a":1}'
    from hashlib import blake2b

    assert first == blake2b(hashed, digest_size=16).digest()
    assert link_hash(first, 1, "moved", b"{}") != link_hash(first, 2, "moved", b"{}")
    assert link_hash(first, 1, "moved", b"{}") != link_hash(first, 1, "left", b"{}")
    assert link_hash(first, 1, "moved", b"{}") != link_hash(first, 1, "moved", b"[]")
    assert link_hash(first, 1, "moved", b"{}") != link_hash(bytes(16), 1, "moved", b"{}")
