"""Which events are taken, which are refused and why, and which purposes are allowed. Pure."""

import re
from collections.abc import Callable, Collection, Container, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, TypeAlias

import orjson

from protocol.codec import json_depth
from protocol.limits import JSON_DEPTH_MAX
from protocol.telemetry import (
    EVENT_PAYLOAD_BYTES_MAX,
    EVENT_TYPE_PATTERN,
    FUTURE_S_MAX,
    PURPOSES,
    SCHEMA_VERSION_MAX,
    SESSION_CHARS_MAX,
    UUID7_PATTERN,
    EventPurpose,
    Purpose,
    RefusalCode,
    TelemetryEvent,
)

DAY_MS: Final = 86_400_000
PROBLEM_CHARS_MAX: Final = 300

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_FUTURE_MS_MAX: Final = FUTURE_S_MAX * 1000
_UUID7: Final = re.compile(UUID7_PATTERN)
_EVENT_TYPE: Final = re.compile(EVENT_TYPE_PATTERN)
_FIELDS: Final = frozenset(TelemetryEvent.model_fields)
_REQUIRED: Final = frozenset({"event_id", "event_type", "payload"})
# What JSON can say and PostgreSQL cannot store.
_NUL: Final = b"\\u0000"

# Says what is wrong with a payload; None if it fits.
Check: TypeAlias = Callable[[object], str | None]
Decisions: TypeAlias = Mapping[Purpose, bool]


class EventType(NamedTuple):
    """What is known of a kind of events; `checks` is by version."""

    purpose: EventPurpose
    kept_days: int
    newest: int
    checks: Mapping[int, Check]


class ValidatedEvent(NamedTuple):
    """An event that can be stored; `payload` is JSON, `version` that of its schema."""

    event_id: str
    event_type: str
    payload: bytes
    at: datetime
    session: str | None
    version: int | None


class RejectedEvent(NamedTuple):
    """Why an event is refused; `letter` is the event where correcting a schema can help."""

    code: RefusalCode
    text: str
    event_id: str | None = None
    letter: ValidatedEvent | None = None


@dataclass(frozen=True, slots=True)
class EventValidator:
    """What events are read against: who sent them, when, and the types there are."""

    account_id: str
    now_ms: int
    types: Mapping[str, EventType]
    kept_days_max: int

    def validate_event(self, raw: object) -> ValidatedEvent | RejectedEvent:
        """Check one event of a batch."""
        if not isinstance(raw, dict):
            return RejectedEvent("bad_event", "An event is a JSON object.")
        if not (raw.keys() <= _FIELDS and raw.keys() >= _REQUIRED):
            return RejectedEvent("bad_event", _wrong_fields(raw), _id_of(raw))
        event_id = raw["event_id"]
        if not isinstance(event_id, str) or _UUID7.fullmatch(event_id) is None:
            return RejectedEvent(
                "bad_event_id", "event_id: send a UUIDv7, 36 lowercase characters."
            )
        made_ms = id_ms(event_id)
        if made_ms > self.now_ms + _FUTURE_MS_MAX:
            return _in_the_future("event_id", event_id)
        if (account_id := raw.get("account_id")) is not None and account_id != self.account_id:
            return RejectedEvent(
                "wrong_account", "account_id: leave it out, or send your own.", event_id
            )
        name, payload = raw["event_type"], raw["payload"]
        version, session = raw.get("schema_version"), raw.get("session")
        if (wrong := _wrong_values(name, payload, version, session, self.types)) is not None:
            return RejectedEvent("bad_event", wrong, event_id)
        stated = None
        if (timestamp := raw.get("timestamp")) is not None:
            stated = _time_of(timestamp)
            if stated is None:
                return RejectedEvent(
                    "bad_event", "timestamp: write it like 2026-11-29T17:00:00.000Z.", event_id
                )
        written = orjson.dumps(payload)
        if (problem := _unstorable(event_id, payload, written)) is not None:
            return problem
        kind = self.types.get(name)
        if (late := self._untimely(event_id, made_ms, stated, kind)) is not None:
            return late
        at = datetime.fromtimestamp(made_ms / 1000, UTC) if stated is None else stated
        return self._fitting(event_id, name, payload, written, at, session, version, kind)

    def read_again(self, event: ValidatedEvent) -> ValidatedEvent | RejectedEvent:
        """Check an event again that no schema fitted."""
        kind = self.types.get(event.event_type)
        late = self._untimely(event.event_id, id_ms(event.event_id), event.at, kind)
        if late is not None:
            return late
        return self._fitting(
            event.event_id,
            event.event_type,
            orjson.loads(event.payload),
            event.payload,
            event.at,
            event.session,
            event.version,
            kind,
        )

    def _untimely(
        self, event_id: str, made_ms: int, stated: datetime | None, kind: EventType | None
    ) -> RejectedEvent | None:
        oldest_ms = made_ms
        if stated is not None:
            stated_ms = (stated - _EPOCH) // _MILLISECOND
            if stated_ms > self.now_ms + _FUTURE_MS_MAX:
                return _in_the_future("timestamp", event_id)
            oldest_ms = min(made_ms, stated_ms)
        kept_days = self.kept_days_max if kind is None else kind.kept_days
        if oldest_ms < self.now_ms - kept_days * DAY_MS:
            return RejectedEvent(
                "too_old", f"Events of this type are kept for {kept_days} days.", event_id
            )
        return None

    def _fitting(
        self,
        event_id: str,
        name: str,
        payload: object,
        written: bytes,
        at: datetime,
        session: str | None,
        version: int | None,
        kind: EventType | None,
    ) -> ValidatedEvent | RejectedEvent:
        if kind is None:
            problem = f"event_type: no schema is registered for {name}."
            event = ValidatedEvent(event_id, name, written, at, session, version)
            return RejectedEvent("unknown_type", problem, event_id, event)
        wanted = kind.newest if version is None else version
        check = kind.checks.get(wanted)
        if check is None:
            problem = f"schema_version: {name} has no version {wanted}."
            event = ValidatedEvent(event_id, name, written, at, session, version)
            return RejectedEvent("unknown_version", problem, event_id, event)
        if (wrong := check(payload)) is not None:
            event = ValidatedEvent(event_id, name, written, at, session, version)
            return RejectedEvent("invalid_payload", wrong[:PROBLEM_CHARS_MAX], event_id, event)
        return ValidatedEvent(event_id, name, written, at, session, wanted)


def id_ms(event_id: str) -> int:
    """Read the time in a UUIDv7: milliseconds since 1970."""
    return int(event_id[:8] + event_id[9:13], 16)


def smallest_id_at(ms: int) -> str:
    """Give the smallest id of a time, as bounds of partitions and reports need it."""
    digits = f"{ms:012x}"
    return f"{digits[:8]}-{digits[8:]}-0000-0000-000000000000"


def is_allowed(purpose: Purpose, decisions: Decisions, opt_in: Collection[str]) -> bool:
    """Say whether an account allows a purpose; without a decision, as the default has it."""
    return decisions.get(purpose, purpose not in opt_in)


def allows_unknown(decisions: Decisions, opt_in: Collection[str]) -> bool:
    """Say whether an event may be kept though nobody knows yet what it is collected for."""
    return all(is_allowed(each, decisions, opt_in) for each in PURPOSES if each != "sharing")


def _unstorable(event_id: str, payload: object, written: bytes) -> RejectedEvent | None:
    if len(written) > EVENT_PAYLOAD_BYTES_MAX:
        return RejectedEvent(
            "payload_too_large",
            f"payload: it has {len(written)} bytes, and may have {EVENT_PAYLOAD_BYTES_MAX}.",
            event_id,
        )
    if _NUL in written and "\0" in _texts(payload):
        return RejectedEvent("bad_event", "payload: remove the character U+0000.", event_id)
    # Walking the value is dear, so it is done only where there are enough brackets.
    is_long = len(written) > 2 * JSON_DEPTH_MAX
    if is_long and written.count(b"[") + written.count(b"{") > JSON_DEPTH_MAX < json_depth(payload):
        problem = f"payload: it is nested more than {JSON_DEPTH_MAX} levels deep."
        return RejectedEvent("bad_event", problem, event_id)
    return None


def _in_the_future(field: str, event_id: str) -> RejectedEvent:
    problem = f"{field}: its time is more than {FUTURE_S_MAX} s ahead of the server's clock."
    return RejectedEvent("in_the_future", problem, event_id)


def _wrong_fields(raw: Mapping[Any, object]) -> str:
    for missing in ("event_id", "event_type", "payload"):
        if missing not in raw:
            return f"{missing}: this field is required."
    unknown = next(iter(raw.keys() - _FIELDS))
    return f"{str(unknown)[:64]}: unknown field; remove it."


def _wrong_values(
    name: object, payload: object, version: object, session: object, known: Container[str]
) -> str | None:
    if not isinstance(name, str) or (name not in known and _EVENT_TYPE.fullmatch(name) is None):
        return "event_type: send 1 to 64 of a-z, 0-9, _ and ., a letter first."
    if not isinstance(payload, dict):
        return "payload: send a JSON object."
    if version is not None and (type(version) is not int or not 1 <= version <= SCHEMA_VERSION_MAX):
        return f"schema_version: send an integer from 1 to {SCHEMA_VERSION_MAX}."
    if session is not None and (
        not isinstance(session, str) or len(session) > SESSION_CHARS_MAX or "\0" in session
    ):
        return f"session: send at most {SESSION_CHARS_MAX} characters."
    return None


def _id_of(raw: Mapping[Any, object]) -> str | None:
    event_id = raw.get("event_id")
    is_good = isinstance(event_id, str) and _UUID7.fullmatch(event_id) is not None
    return event_id if is_good else None  # type: ignore[return-value]  # a text, as was seen


def _texts(value: object) -> str:
    """Join all texts of a value; only for one that has something odd in it."""
    texts, level = [], [value]
    while level:
        each = level.pop()
        if isinstance(each, str):
            texts.append(each)
        elif isinstance(each, dict):
            level += [*each.keys(), *each.values()]
        elif isinstance(each, list):
            level += each
    return "".join(texts)


def _time_of(text: object) -> datetime | None:
    if not isinstance(text, str) or len(text) > 40:
        return None
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
