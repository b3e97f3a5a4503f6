"""Epochs over HTTP: days, slots, events, scores, payouts."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from protocol.envelope import WireModel
from protocol.epoch import Phase
from protocol.epochlive import EVENTS_MAX, Event, Slot, Version
from protocol.ids import UUID_PATTERN, BotId
from protocol.record import Limit

DAY_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
RESULT_MAX = 2**31 - 1
REASON_CHARS_MAX = 500
MIRROR_LINES_MAX = 200

WireBotId = Annotated[BotId, StringConstraints(pattern=UUID_PATTERN)]
Reason = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=REASON_CHARS_MAX)
]
Hash = Annotated[str, StringConstraints(pattern="^0x[0-9a-f]{64}$")]


class EpochPath(WireModel):
    """The epoch in an address: an id, a date (`2026-02-12`), or `current`."""

    epoch: Annotated[str, StringConstraints(max_length=36)]


class BotPath(EpochPath):
    """A bot and an epoch in an address."""

    bot_id: WireBotId


class ResultQuery(WireModel):
    """Which of the results of a day; the one in force, where it is left out."""

    result: Annotated[int, Field(ge=1, le=RESULT_MAX)] | None = None


class Epoch(WireModel):
    """A day of competition."""

    epoch_id: str
    day: str
    phase: Phase
    profile: str
    starts_at: str
    freeze_at: str
    ends_at: str
    frozen_at: str | None
    archived_at: str | None
    version: int = Field(description="How many events it has.")
    pool_wei: str
    events_digest: str | None = Field(description="SHA-256 of the events before the freeze.")
    summary: str | None = Field(description="Where its summary is, once it is archived.")


class DaysQuery(WireModel):
    """A page of days, newest first."""

    before: Annotated[str, StringConstraints(pattern=DAY_PATTERN)] | None = Field(
        default=None, description="Days before this one: the `next` of the page before."
    )
    limit: Limit = 30


class Epochs(WireModel):
    """Days; `next` is null on the last page."""

    epochs: list[Epoch]
    next: str | None


class EpochRules(WireModel):
    """The profile that a day is played by."""

    profile: str
    config: dict[str, Any]


class Slots(WireModel):
    """A day's slots at a version."""

    epoch_id: str
    version: int
    phase: Phase
    slots: list[Slot]


class EventsQuery(WireModel):
    """Events after a version."""

    after: Version = 0
    limit: Annotated[int, Field(ge=1, le=EVENTS_MAX)] = 100


class EpochEvents(WireModel):
    """Events in the order of their versions; `head` is the day's version."""

    epoch_id: str
    head: int
    events: list[Event]


class Standing(WireModel):
    """What a bot did, and its part of the day; `share` sums to exactly 1 over all."""

    bot_id: str
    bot: str | None
    occupied_seconds: int
    successful_claims: int
    defense_seconds: int
    vote_quality: str
    raw_score: str
    share: str
    bps: int
    amount_wei: str


class Scoreboard(WireModel):
    """How a day stands, as if it were frozen at this version and time; final once it is settled."""

    epoch_id: str
    version: int
    at: str
    is_final: bool
    bots: list[Standing]


class Payout(WireModel):
    """What the owner of a bot at the freeze is paid."""

    bot_id: str
    bot: str
    recipient_address: str
    bps: int
    amount_wei: str
    status: Literal["pending", "submitted", "confirmed", "failed"]
    payout_tx_hash: str | None


class Settlement(WireModel):
    """A result as it was published; the newest is in force."""

    number: int
    computed_at: str
    computed_by: str
    reason: str
    events_digest: str
    result: dict[str, Any]


class Payouts(WireModel):
    """A day's payouts, and every result that was ever computed, the newest first."""

    epoch_id: str
    payouts: list[Payout]
    settlements: list[Settlement]


class Edition(WireModel):
    """The edition of a day; `minted_at` is null until it is minted."""

    chain_id: int | None
    contract_address: str | None
    token_id: str | None
    metadata_uri: str | None
    minted_at: str | None


class Recompute(WireModel):
    """Why a day is settled again."""

    reason: Reason


class Recomputed(WireModel):
    """The number of the new result, and whether it differs from the one before."""

    number: int
    changed: bool


class RolledOver(WireModel):
    """How many steps were taken."""

    steps: int


class MirrorBatch(WireModel):
    """Some lines of a day that another system plays, in order.

    A line has the format of imported days, and `seq`: its number in the day, from 1 on.
    """

    source: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    lines: Annotated[list[dict[str, Any]], Field(max_length=MIRROR_LINES_MAX)]


class Mirrored(WireModel):
    """How far a day is mirrored: all lines up to `acknowledged` are stored."""

    epoch_id: str
    source: str
    acknowledged: int = Field(description="The `seq` of the last line that was applied; 0 for none")
    applied: int = Field(description="How many lines of this batch were applied.")
    skipped: int = Field(description="How many were applied before.")
    version: int


class PayoutChange(WireModel):
    """How far a payout is."""

    status: Literal["pending", "submitted", "confirmed", "failed"]
    tx_hash: Hash | None = None


class Minted(WireModel):
    """The token that a day's edition became."""

    token_id: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,78}$")]


class Noted(WireModel):
    """It is on record."""

    noted: Literal[True] = True
