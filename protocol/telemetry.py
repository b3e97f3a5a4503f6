"""HTTP bodies of telemetry: events and what became of them, consent, schemas, reports."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field, JsonValue, StringConstraints

from protocol.envelope import WireModel
from protocol.errors import PlayhallError
from protocol.history import Cursor, Limit
from protocol.text import ONE_LINE, STORABLE

BATCH_EVENTS_MAX: Final = 500
BATCH_BYTES_MAX: Final = 1024 * 1024
EVENT_PAYLOAD_BYTES_MAX: Final = 8 * 1024
SESSION_CHARS_MAX: Final = 64
SCHEMA_BYTES_MAX: Final = 64 * 1024
SCHEMA_VERSION_MAX: Final = 10_000
# How far a client's clock may be ahead.
FUTURE_S_MAX: Final = 300
KEPT_DAYS_MAX: Final = 400

EVENT_TYPE_PATTERN: Final = r"^[a-z][a-z0-9_.]{0,63}$"
UUID7_PATTERN: Final = r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"

# What an event is collected for.
EventPurpose = Literal["analytics", "personalization"]
# What people decide about. `sharing`: their events may be passed on to others.
Purpose = Literal["analytics", "personalization", "sharing"]
PURPOSES: Final[tuple[Purpose, ...]] = ("analytics", "personalization", "sharing")

EventTypeName = Annotated[str, StringConstraints(pattern=EVENT_TYPE_PATTERN)]
SchemaVersion = Annotated[int, Field(ge=1, le=SCHEMA_VERSION_MAX)]
PolicyVersion = Annotated[str, StringConstraints(max_length=64), ONE_LINE]

RefusalCode = Literal[
    "bad_event",
    "bad_event_id",
    "in_the_future",
    "too_old",
    "wrong_account",
    "no_consent",
    "payload_too_large",
    "unknown_type",
    "unknown_version",
    "invalid_payload",
]


class SharingRefused(PlayhallError):
    """Your browser sends Sec-GPC: 1, which refuses sharing; switch it off to grant that."""

    code, status = "sharing_refused", 409

    def __init__(self) -> None:
        super().__init__(field="consents.sharing")


class TelemetryEvent(WireModel):
    """One thing that happened in a game. This model describes it; each event is checked alone."""

    event_id: Annotated[str, StringConstraints(pattern=UUID7_PATTERN)] = Field(
        description="A UUIDv7 (RFC 9562) that you made when it happened, lowercase. Sent again, it "
        "is a duplicate."
    )
    event_type: EventTypeName
    payload: dict[str, Any] = Field(
        description=f"As the type's schema says; at most {EVENT_PAYLOAD_BYTES_MAX} bytes."
    )
    timestamp: str | None = Field(
        default=None, description="When it happened, with its zone; by default the id's time."
    )
    session: Annotated[str, StringConstraints(max_length=SESSION_CHARS_MAX)] | None = None
    schema_version: SchemaVersion | None = Field(
        default=None, description="By default the newest version of the type's schema."
    )
    account_id: str | None = Field(default=None, description="If sent, your own.")


def _as_events(schema: dict[str, Any]) -> None:
    schema["items"] = TelemetryEvent.model_json_schema()


class TelemetryBatch(WireModel):
    """Events, each of which is accepted or refused by itself."""

    events: list[Any] = Field(
        min_length=1, max_length=BATCH_EVENTS_MAX, json_schema_extra=_as_events
    )


class RefusedEvent(WireModel):
    """An event that was not stored, and why."""

    index: int = Field(description="Its place in the batch, from 0.")
    event_id: str | None = Field(description="None if it had none that could be read.")
    code: RefusalCode
    problem: str
    kept: bool = Field(
        description="Whether it is kept until its schema is corrected; do not send it again then."
    )


class TelemetryAccepted(WireModel):
    """What became of a batch; whatever is not listed was stored."""

    accepted: int
    duplicates: list[str] = Field(description="Ids that were stored before, or twice in the batch.")
    refused: list[RefusedEvent]


# ------------------------------------------------------------------ consent


class Consent(WireModel):
    """What you decided about a purpose."""

    purpose: Purpose
    granted: bool = Field(description="Whether it is allowed: by your decision, or by default.")
    version: int = Field(description="The number of your decision; 0 if you have not decided.")
    source: Literal["default", "person", "gpc", "merge"] = Field(
        description="`gpc`: your browser sent Sec-GPC: 1 (Global Privacy Control). `merge`: an "
        "account that was merged into yours had refused it, or that merge was undone."
    )
    policy_version: str
    recorded_at: str | None


class Consents(WireModel):
    """Every purpose and what you decided. `sharing` is what CCPA calls to sell or share."""

    consents: list[Consent]


class ConsentRequest(WireModel):
    """Decide about some purposes. What no longer is allowed is deleted at once."""

    consents: Annotated[dict[Purpose, bool], Field(min_length=1)]
    policy_version: PolicyVersion = Field(
        default="", description="The privacy policy that you were shown."
    )


class ConsentsQuery(WireModel):
    """Which part of the history."""

    cursor: Cursor | None = None
    limit: Limit = 50


class ConsentHistory(WireModel):
    """Your decisions, newest first; `next` is the cursor of older ones."""

    decisions: list[Consent]
    next: str | None


# ------------------------------------------------------------------ schemas and dead letters


class TelemetrySchemaPath(WireModel):
    """The schema in an address."""

    event_type: EventTypeName
    version: SchemaVersion


class TelemetrySchemaRequest(WireModel):
    """Register a schema, or correct one. Purpose and retention are those of all its versions."""

    json_schema: Annotated[dict[str, JsonValue], STORABLE] = Field(
        description="JSON Schema (2020-12 unless it says otherwise), without references to others."
    )
    purpose: EventPurpose = "analytics"
    kept_days: Annotated[int, Field(ge=1, le=KEPT_DAYS_MAX)] = 90


class TelemetrySchema(WireModel):
    """A schema that payloads are checked with."""

    event_type: str
    version: int
    json_schema: dict[str, JsonValue]
    purpose: EventPurpose
    kept_days: int
    registered_at: str


class TelemetrySchemas(WireModel):
    """All of them, by type and version."""

    schemas: list[TelemetrySchema]


class DeadLetter(WireModel):
    """An event that no schema fits."""

    letter_id: int
    account_id: str
    event_id: str
    event_type: str
    schema_version: int | None
    payload: dict[str, JsonValue]
    timestamp: str
    code: Literal["unknown_type", "unknown_version", "invalid_payload"]
    problem: str
    received_at: str


class DeadLettersQuery(WireModel):
    """Which dead letters."""

    event_type: EventTypeName | None = None
    cursor: Cursor | None = None
    limit: Limit = 50


class DeadLetters(WireModel):
    """Dead letters, newest first; `next` is the cursor of older ones."""

    letters: list[DeadLetter]
    next: str | None


class ReplayRequest(WireModel):
    """Check the dead letters of a type again, the oldest first."""

    event_type: EventTypeName
    after: Annotated[int, Field(ge=0, le=2**53 - 1)] = Field(
        default=0, description="Only letters with greater ids; `last` of the answer before."
    )


class Replayed(WireModel):
    """What became of some dead letters; ask again with `last` until it is null."""

    accepted: int
    duplicates: int
    dropped: int = Field(description="Those that are too old by now, or no longer allowed.")
    failed: int = Field(description="Those that still fit no schema, with the new reason.")
    last: int | None
