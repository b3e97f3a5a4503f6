"""Epochs as they are configured: a profile is data, and is checked before it is kept."""

from decimal import Decimal
from functools import cache
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    field_validator,
    model_validator,
)

from protocol.text import NAME

SLOTS_MAX = 64
TARGETS_MAX = 16
OPTIONS_MAX = 64
CODE_CHARS_MAX = 4096
WEI_DIGITS_MAX = 78
CHAIN_ID_MAX = 2**31 - 1

Name = Annotated[str, StringConstraints(min_length=1, max_length=64), NAME]
# Weights and scores have few decimals, so that whatever is made of them is exact.
Weight = Annotated[Decimal, Field(ge=0, le=1_000_000, max_digits=13, decimal_places=6)]
Score = Annotated[Decimal, Field(ge=-1_000, le=1_000, decimal_places=4)]
# As text in JSON, where numbers end at 64 bits.
Wei = Annotated[int, Field(ge=0, lt=10**WEI_DIGITS_MAX), PlainSerializer(str, when_used="json")]
Phase = Literal["prep", "live", "freeze", "snapshot", "settle", "archive"]
TargetType = Literal["bot", "tempo", "key", "world_theme"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Cadence(_Part):
    """When a day begins and ends.

    It begins at midnight in `timezone`, lasts `duration_hours`, and takes nothing more in its
    last `freeze_minutes`. It is announced `prep_minutes` before it begins.
    """

    timezone: Name = "UTC"
    duration_hours: Annotated[int, Field(ge=1, le=24)] = 24
    freeze_minutes: Annotated[int, Field(ge=0, le=720)] = 10
    prep_minutes: Annotated[int, Field(ge=0, le=1_440)] = 60

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in _zones():
            raise ValueError("must be a time zone's name, such as UTC or Europe/Berlin")
        return name

    @model_validator(mode="after")
    def _leaves_time_to_play(self) -> Self:
        if self.freeze_minutes >= self.duration_hours * 60:
            raise ValueError("freeze_minutes must be less than the day's duration")
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The time zone itself."""
        return ZoneInfo(self.timezone)


class Slot(_Part):
    """One slot: what it is for, and which validator its code must pass."""

    type: Name
    label: Name
    constraints_id: Name


class Slots(_Part):
    """The day's slots, in the order of their index."""

    count: Annotated[int, Field(ge=1, le=SLOTS_MAX)]
    map: Annotated[tuple[Slot, ...], Field(min_length=1, max_length=SLOTS_MAX)]

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.count != len(self.map):
            raise ValueError(f"count is {self.count}, but map describes {len(self.map)} slots")
        return self


class World(_Part):
    """What clients draw the day with; the seed comes from the epoch's id."""

    layout_id: Name


class Target(_Part):
    """What may be voted on, and the range of a score. `options` empty: any id."""

    type: TargetType
    score_min: Score
    score_max: Score
    options: Annotated[tuple[Name, ...], Field(max_length=OPTIONS_MAX)] = ()

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.score_min >= self.score_max:
            raise ValueError("score_min must be less than score_max")
        return self


class AntiAbuse(_Part):
    """How much a vote weighs: less for a voter who took part in fewer than `known_after` days."""

    newcomer_weight: Annotated[Decimal, Field(ge=0, le=1, decimal_places=4)] = Decimal(1)
    known_after: Annotated[int, Field(ge=0, le=365)] = 0


class Governance(_Part):
    """Who may vote on what."""

    bot_voting: bool = False
    human_voting: bool = True
    targets: Annotated[tuple[Target, ...], Field(max_length=TARGETS_MAX)] = ()
    anti_abuse: AntiAbuse = AntiAbuse()

    def target(self, kind: str) -> Target | None:
        """Find what is said of a kind of target."""
        return next((target for target in self.targets if target.type == kind), None)


class Cooldowns(_Part):
    """Seconds between two claims of the same bot or slot, and between two votes of a voter."""

    bot_s: Annotated[int, Field(ge=0, le=86_400)] = 30
    slot_s: Annotated[int, Field(ge=0, le=86_400)] = 10
    vote_s: Annotated[int, Field(ge=0, le=86_400)] = 1


class Weights(_Part):
    """What counts how much in a raw score."""

    time: Weight = Decimal(1)
    claim: Weight = Decimal(0)
    defense: Weight = Decimal(0)
    vote: Weight = Decimal(0)


class Payout(_Part):
    """What a day pays out in all."""

    pool_wei: Wei = 0


class Mint(_Part):
    """Where a day's edition is minted; nowhere if there is no contract."""

    chain_id: Annotated[int, Field(ge=1, le=CHAIN_ID_MAX)] | None = None
    contract_address: Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{40}$")] | None = None


class SettlementRules(_Part):
    """How a day is settled.

    A hold shorter than `minimum_hold_s` does not count. A bot's claim on a slot that it holds
    already, within `rapid_s` of its last one, counts `rapid_factor` times what that one did.
    """

    weights: Weights = Weights()
    minimum_hold_s: Annotated[int, Field(ge=0, le=86_400)] = 0
    rapid_s: Annotated[int, Field(ge=0, le=86_400)] = 300
    rapid_factor: Annotated[Decimal, Field(ge=0, le=1, decimal_places=4)] = Decimal("0.5")
    payout: Payout = Payout()
    mint: Mint = Mint()


@cache
def _zones() -> frozenset[str]:
    """List the time zones there are: they are files, and reading them takes milliseconds.

    They are those of the machine and of the package `tzdata`, which is always there. `localtime`
    is left out: it is another zone on each machine.
    """
    return frozenset(available_timezones() - {"localtime"})


class EpochProfile(_Part):
    """Everything that makes a day what it is."""

    cadence: Cadence = Cadence()
    slots: Slots
    world: World
    governance: Governance = Governance()
    cooldowns: Cooldowns = Cooldowns()
    settlement: SettlementRules = SettlementRules()
