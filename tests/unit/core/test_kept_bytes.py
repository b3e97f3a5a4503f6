"""What is kept takes the memory of its content."""

import tracemalloc

import orjson

from persistence.eventlog.hashchain import canonical_json
from protocol.kept_bytes import compact

KEPT = 1000


def test_kept_payloads_take_little_more_than_their_bytes() -> None:
    assert compact(b'{"a":1}') == b'{"a":1}'
    tracemalloc.start()
    try:
        kept = [canonical_json({"n": n}) for n in range(KEPT)]
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < KEPT * 200
    assert orjson.loads(kept[-1]) == {"n": KEPT - 1}
