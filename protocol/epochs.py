"""Epochs on the wire: live slots and votes, days over HTTP, and their errors."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints

from protocol.envelope import Command, CommandId, Ok, Update, WireModel
from protocol.epoch_profile import CODE_CHARS_MAX, SLOTS_MAX, Phase, TargetType
from protocol.errors import PlayhallError
from protocol.history import Limit
from protocol.ids import UUID_PATTERN, BotId, EpochId
from protocol.limits import INT_MAX
from protocol.text import ONE_LINE, SOME_LINES

EVENTS_MAX = 500
FOLLOWED_MAX = 16
SCORE_MAX = 1_000

WireEpochId = Annotated[EpochId, StringConstraints(pattern=UUID_PATTERN)]
Version = Annotated[int, Field(ge=0, le=INT_MAX)]
CURRENT = Field(default=None, description="The current epoch by default.")


class Slot(WireModel):
    """A slot and what it holds; `version` changed it last, 0: nothing did."""

    slot_index: int
    type: str
    label: str
    constraints_id: str
    code: str | None
    bot_id: str | None
    bot: str | None = Field(description="The slug of the bot that holds it.")
    updated_at: str | None
    version: int


class Snapshot(WireModel):
    """A snapshot of a day at a version."""

    epoch_id: str
    day: str
    phase: Phase
    profile: str
    layout_id: str
    seed: str = Field(description="16 hexadecimal digits to draw the world from.")
    starts_at: str
    freeze_at: str
    ends_at: str
    version: int
    now: str = Field(description="The epoch's clock when this was read.")
    slots: list[Slot]


class Event(WireModel):
    """An event of a day; versions run 1, 2, 3, … without gaps."""

    epoch_id: str
    version: int
    event: str
    at: str
    bot_id: str | None
    bot: str | None
    slot_index: int | None
    payload: dict[str, Any]


class Watched(WireModel):
    """A snapshot; or, with `after`, the events since then, if they are few enough."""

    re: CommandId
    type: Literal["ok"] = "ok"
    epoch_id: str
    version: int
    snapshot: Snapshot | None
    events: list[Event]


class Watch(Command):
    """Follow an epoch: get a snapshot at a version, or the events since the version you have."""

    reply: ClassVar[type[WireModel]] = Watched
    type: Literal["epoch.watch"]
    epoch_id: WireEpochId | None = CURRENT
    after: Version | None = None


class Unwatch(Command):
    """Stop following an epoch."""

    reply: ClassVar[type[WireModel]] = Ok
    type: Literal["epoch.unwatch"]
    epoch_id: WireEpochId


class EventPage(WireModel):
    """Events in the order of their versions; `head` is the epoch's version."""

    re: CommandId
    type: Literal["ok"] = "ok"
    epoch_id: str
    head: int
    events: list[Event]


class ReadEvents(Command):
    """Read the events of any epoch, past or current, in pages."""

    reply: ClassVar[type[WireModel]] = EventPage
    type: Literal["epoch.events"]
    epoch_id: WireEpochId
    after: Version = 0
    limit: Annotated[int, Field(ge=1, le=EVENTS_MAX)] = 100


class Done(WireModel):
    """The command was executed; its event has this version."""

    re: CommandId
    type: Literal["ok"] = "ok"
    epoch_id: str
    version: int


class Claim(Command):
    """Write code into a slot, as the signed-in bot."""

    reply: ClassVar[type[WireModel]] = Done
    type: Literal["epoch.claim"]
    epoch_id: WireEpochId | None = CURRENT
    slot_index: Annotated[int, Field(ge=0, lt=SLOTS_MAX)]
    code: Annotated[str, StringConstraints(min_length=1, max_length=CODE_CHARS_MAX)]


class Voted(Done):
    """The vote counts, with this weight."""

    weight: str


class Vote(Command):
    """Score a target or change your score, with one of your wallets or as a bot."""

    reply: ClassVar[type[WireModel]] = Voted
    type: Literal["epoch.vote"]
    epoch_id: WireEpochId | None = CURRENT
    target_type: TargetType
    target_id: Annotated[str, StringConstraints(min_length=1, max_length=64), ONE_LINE]
    score: Annotated[float, Field(ge=-SCORE_MAX, le=SCORE_MAX)]
    wallet: Annotated[str, StringConstraints(pattern="^0x[0-9a-fA-F]{40}$")] | None = Field(
        default=None, description="Which of your wallets votes; the first one by default."
    )


class EpochEvent(Update, Event):
    """The next event of an epoch that you follow."""

    type: Literal["epoch.event"] = "epoch.event"


COMMANDS: tuple[type[Command], ...] = (Watch, Unwatch, ReadEvents, Claim, Vote)
UPDATES: tuple[type[Update], ...] = (EpochEvent,)


DAY_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
RESULT_MAX = 2**31 - 1
REASON_CHARS_MAX = 500
MIRROR_LINES_MAX = 200

WireBotId = Annotated[BotId, StringConstraints(pattern=UUID_PATTERN)]
Reason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=REASON_CHARS_MAX),
    SOME_LINES,
]
Hash = Annotated[str, StringConstraints(pattern="^0x[0-9a-f]{64}$")]


class EpochPath(WireModel):
    """The epoch in an address: an id, a date (`2026-02-12`), or `current`."""

    epoch: Annotated[str, StringConstraints(max_length=36)]


class BotPath(EpochPath):
    """A bot and an epoch in an address."""

    bot_id: WireBotId


class ResultQuery(WireModel):
    """Which result of a day; the one in force by default."""

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
    version: int = Field(description="Number of events.")
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
    """The profile with which a day is played."""

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
    """The scores of a day as if it were frozen at this version and time; final once settled."""

    epoch_id: str
    version: int
    at: str
    is_final: bool
    bots: list[Standing]


class Payout(WireModel):
    """The payout to the owner of a bot at the freeze."""

    bot_id: str
    bot: str
    recipient_address: str
    bps: int
    amount_wei: str
    status: Literal["pending", "submitted", "confirmed", "failed"]
    payout_tx_hash: str | None


class Settlement(WireModel):
    """A published result; the newest is in force."""

    number: int
    computed_at: str
    computed_by: str
    reason: str
    events_digest: str
    result: dict[str, Any]


class Payouts(WireModel):
    """A day's payouts and every result computed for it, newest first."""

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
    """The progress of a mirrored day: all lines up to `acknowledged` are stored."""

    epoch_id: str
    source: str
    acknowledged: int = Field(description="The `seq` of the last applied line; 0 for none")
    applied: int = Field(description="Lines of this batch that were applied now.")
    skipped: int = Field(description="Lines of this batch that had been applied before.")
    version: int


class PayoutChange(WireModel):
    """The status of a payout."""

    status: Literal["pending", "submitted", "confirmed", "failed"]
    tx_hash: Hash | None = None


class Minted(WireModel):
    """The token that a day's edition became."""

    token_id: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,78}$")]


class Noted(WireModel):
    """The change was recorded."""

    noted: Literal[True] = True


# ------------------------------------------------------------------ days


class EpochNotFound(PlayhallError):
    """There is no such epoch; GET /v1/epochs lists them."""

    code, status = "epoch_not_found", 404


class EpochNotLive(PlayhallError):
    """The epoch is not live now; GET /v1/epochs/current says when it is."""

    code, status = "epoch_not_live", 409


class EpochNotSettled(PlayhallError):
    """The epoch is not settled yet."""

    code, status = "epoch_not_settled", 409


class EpochsOverlap(PlayhallError):
    """The epoch would overlap another one; change the profile's cadence, or wait."""

    code, status = "epochs_overlap", 409


class ProfileInUse(PlayhallError):
    """Epochs have been played with this profile, so it cannot change; choose another key."""

    code, status = "profile_in_use", 409


class AlreadyPaid(PlayhallError):
    """A payout of this epoch has been submitted, so its result cannot change."""

    code, status = "already_paid", 409


# ------------------------------------------------------------------ mirrored days


class EpochMirrored(PlayhallError):
    """This epoch is mirrored from another system; claim and vote there."""

    code, status = "epoch_mirrored", 409


class EpochPlayed(PlayhallError):
    """This epoch already has claims or votes of its own, so it cannot be mirrored; use the next."""

    code, status = "epoch_played", 409


class MirrorGap(PlayhallError):
    """A line is missing and nothing was applied; send the lines again, starting at `expected`."""

    code, status = "mirror_gap", 409

    def __init__(self, message: str | None = None, *, expected: int = 1) -> None:
        super().__init__(message)
        self.expected = expected


# ------------------------------------------------------------------ claims and votes


class BotRequired(PlayhallError):
    """Only bots can do this; sign in with a bot token that has the required scope."""

    code, status = "bot_required", 403


class SlotNotFound(PlayhallError):
    """The epoch has no slot with this index."""

    code, status = "slot_not_found", 404


class CodeRefused(PlayhallError):
    """The slot's validator rejected this code."""

    code, status = "code_refused", 422


class Cooldown(PlayhallError):
    """The cooldown has not ended; wait and try again."""

    code, status, retry = "cooldown", 429, True


class VotingClosed(PlayhallError):
    """The epoch's profile does not allow you to vote."""

    code, status = "voting_closed", 403
