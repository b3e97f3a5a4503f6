"""Events as nodes send them to each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence.eventlog.hashchain import canonical_json
from server.domains.play.games.event_batches import MalformedBatch, decode_batch, encode_batch
from server.domains.play.games.recorder import RecordedEvent
from server.gamekit.contract import Event

HASH = bytes(range(16))
TEXT = st.text('aé\u2028😀"\\', max_size=8)
PAYLOADS = st.dictionaries(TEXT, st.integers(-(2**53), 2**53) | TEXT, max_size=4)


def event(index: int, payload: dict[str, object], ms: int = 1_764_500_000_123) -> RecordedEvent:
    at = b"2026-11-30T10:00:00.123Z"
    return RecordedEvent(index, Event("card_played", payload, ms), canonical_json(payload), at)


@given(st.lists(PAYLOADS, min_size=1, max_size=8), st.integers(0, 2**31 - 10))
def test_a_batch_arrives_as_it_was_committed(payloads: list[dict[str, object]], first: int) -> None:
    recorded = [event(first + n, payload) for n, payload in enumerate(payloads)]
    assert decode_batch(encode_batch(recorded, HASH)) == (recorded, HASH)


@pytest.mark.parametrize("cut", [0, 1, 16, 17, 20, 40, 60, -1])
def test_a_batch_that_is_cut_off_or_of_another_version_is_refused(cut: int) -> None:
    whole = encode_batch([event(1, {"n": 1}), event(2, {"n": 2})], HASH)
    if cut != 17:  # what comes after the head may be nothing at all
        with pytest.raises(MalformedBatch):
            decode_batch(whole[:cut])
    with pytest.raises(MalformedBatch):
        decode_batch(b"\x02" + whole[1:])
