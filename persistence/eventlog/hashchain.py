"""Canonical payloads and the hash chain over a game's events.

`hash = BLAKE2b-128(previous hash ‖ index, 4 bytes big endian ‖ type ‖ 0x00 ‖ payload)`;
before the first event stands the game's UUID, 16 bytes. A payload's canonical form is
JSON with sorted keys and no white space, with numbers as a `jsonb` column gives them back,
so that the chain can be checked from the database alone.
"""

import re
from collections.abc import Callable, Iterable
from hashlib import blake2b
from math import isfinite
from typing import Any
from uuid import UUID

import orjson

from protocol.ids import GameId
from protocol.kept_bytes import compact
from protocol.limits import PAYLOAD_BYTES_MAX

HASH_BYTES = 16

# A number that jsonb may write otherwise: an exponent, or a negative zero. What stands
# before it keeps the many hex ids in payloads from looking like one.
_SUSPECT_NUMBER = re.compile(rb"[:,\[]-?[0-9]+(?:\.[0-9]+)?e|[:,\[]-0\.0")
# What orjson writes as it is. It also writes enums, data classes and more, which may have floats.
_NOT_FLOATS = frozenset((str, int, bool, type(None)))
_U64_END = 2**64
_EXPONENT_FROM = 1e16


class InvalidPayload(Exception):
    """The database could not keep this payload as it is."""


class NotJson(InvalidPayload):
    """This payload is no JSON. What a client sent is, so it can only come of a ruleset."""


def canonical_json(payload: dict[str, Any]) -> bytes:
    """Write a payload canonically; raise `InvalidPayload` for what `jsonb` cannot hold."""
    try:
        written = orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)
        # Most payloads have no float. To see that takes a third of the time of the searches.
        has_floats = _may_have_floats((payload,))
        if has_floats and _SUSPECT_NUMBER.search(written):
            written = orjson.dumps(_as_jsonb(payload), option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise NotJson(str(error)) from None
    if len(written) > PAYLOAD_BYTES_MAX:
        raise InvalidPayload(f"{len(written)} bytes are more than {PAYLOAD_BYTES_MAX}")
    # orjson writes NaN and infinities as null: the log would not say what was decided.
    if has_floats and b"null" in written and _holds(payload, _is_not_finite):
        raise NotJson("a number that is not finite")
    if b"\\u0000" in written and _holds(payload, _has_nul):
        raise InvalidPayload("text with a NUL character cannot be stored")
    return compact(written)  # a game keeps its last events


def _may_have_floats(values: Iterable[Any]) -> bool:
    """Say whether a float may be among values, however deep; True of types that can hide one."""
    for value in values:
        kind = type(value)
        if kind in _NOT_FLOATS:
            continue
        if kind is not dict and kind is not list:
            return True
        if _may_have_floats(value.values() if kind is dict else value):
            return True
    return False


def _as_jsonb(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_jsonb(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_jsonb(item) for item in value]
    if isinstance(value, float):
        return _number(value)
    return value


def _number(value: float) -> float | int:
    if value == 0:
        return 0.0
    if value.is_integer() and _EXPONENT_FROM <= abs(value) < _U64_END:
        return int(value) if value > -(2**63) else value
    return value


def _holds(value: Any, is_bad: Callable[[Any], bool]) -> bool:
    """Say whether one of the keys or values in a payload is bad, however deep."""
    if isinstance(value, dict):
        return any(_holds(each, is_bad) for pair in value.items() for each in pair)
    if isinstance(value, (list, tuple)):
        return any(_holds(each, is_bad) for each in value)
    return is_bad(value)


def _has_nul(value: Any) -> bool:
    return isinstance(value, str) and "\0" in value


def _is_not_finite(value: Any) -> bool:
    return isinstance(value, float) and not isfinite(value)


def genesis_hash(game_id: GameId) -> bytes:
    """Give what stands before a game's first event."""
    return UUID(game_id).bytes


def link_hash(previous: bytes, index: int, kind: str, payload: bytes) -> bytes:
    """Give the hash of one event."""
    hashed = b"%b%b%b\0%b" % (previous, index.to_bytes(4, "big"), kind.encode(), payload)
    return blake2b(hashed, digest_size=HASH_BYTES).digest()
