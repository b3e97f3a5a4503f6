"""A claim on a slot: event, state and version in one transaction, under the day's lock.

The lock is what makes cooldowns hold when many claim at once, on any number of nodes: what
decides about a claim is read under it, and the rules of the domain decide before it is released.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple, TypeAlias

from persistence.database import Connection, Database
from persistence.epochs.store import append_event, parse_profile
from persistence.queries import load_queries
from protocol.epoch_profile import Cooldowns, Phase
from protocol.epochs import EpochNotFound
from protocol.ids import BotId, EpochId, SessionId

SQL = load_queries("epochs/claims")

CLAIMED = "slot_claimed"
OVERWRITTEN = "slot_overwritten"


class NewClaim(NamedTuple):
    """What a bot claims; `token_id` is what it signed in with."""

    epoch_id: EpochId
    slot_index: int
    code: str
    bot_id: BotId
    token_id: SessionId


class ClaimConditions(NamedTuple):
    """What decides about a claim. `may_claim`: its token still may, for this bot."""

    now: datetime
    phase: Phase
    freeze_at: datetime
    cooldowns: Cooldowns
    is_mirrored: bool
    may_claim: bool
    is_slot: bool
    holder: BotId | None
    slot_claimed_at: datetime | None
    bot_claimed_at: datetime | None


# Raises where a claim is refused.
Require: TypeAlias = Callable[[ClaimConditions], None]


class ClaimStore:
    """Claims in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, new: NewClaim, require: Require) -> int:
        """Write a claim; gives its version. Raises `EpochNotFound`, and what `require` raises."""
        async with self._database.transaction() as connection:
            standing = await _standing(connection, new)
            require(standing)
            return await write_claim(
                connection,
                new.epoch_id,
                new.slot_index,
                code=new.code,
                bot_id=new.bot_id,
                holder=standing.holder,
                at=standing.now,
            )


async def _standing(connection: Connection, new: NewClaim) -> ClaimConditions:
    """Hold the day, then read."""
    day = await connection.fetchrow(SQL["lock_day"], new.epoch_id)
    if day is None:
        raise EpochNotFound
    now, cooldowns = day["now"], parse_profile(day["config"]).cooldowns
    until = now + timedelta(seconds=cooldowns.bot_s)
    values = (new.epoch_id, new.slot_index, new.bot_id, new.token_id, until)
    seen = await connection.fetchrow(SQL["look"], *values)
    assert seen is not None
    return ClaimConditions(now, day["phase"], day["freeze_at"], cooldowns, *seen)


async def write_claim(
    connection: Connection,
    epoch_id: EpochId,
    slot_index: int,
    *,
    code: str,
    bot_id: BotId,
    holder: BotId | None,
    at: datetime,
) -> int:
    """Let a slot be a bot's from now on; the day is locked. Gives the version of the event."""
    version, claimed_at = await append_event(
        connection,
        epoch_id,
        CLAIMED if holder is None else OVERWRITTEN,
        at=at,
        bot_id=bot_id,
        slot_index=slot_index,
        payload={"code": code, "previous_bot_id": holder},
    )
    values = (epoch_id, slot_index, code, bot_id, claimed_at, version)
    await connection.execute(SQL["set_slot"], *values)
    return version
