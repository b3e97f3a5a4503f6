"""A claim on a slot: event, state and version in one transaction, under the day's lock.

The lock is what makes cooldowns hold when many claim at once, on any number of nodes.
"""

from datetime import datetime, timedelta
from math import inf
from typing import NamedTuple

import asyncpg

from persistence.database import Connection, Database
from persistence.epochs.store import append, profile_of
from persistence.queries import load
from protocol.epoch_profile import Cooldowns
from protocol.epochs import (
    BotRequired,
    Cooldown,
    EpochMirrored,
    EpochNotFound,
    EpochNotLive,
    SlotNotFound,
)
from protocol.ids import BotId, EpochId, SessionId

SQL = load("epochs/claims")

CLAIMED = "slot_claimed"
OVERWRITTEN = "slot_overwritten"


class NewClaim(NamedTuple):
    """What a bot claims; `token_id` is what it signed in with."""

    epoch_id: EpochId
    slot_index: int
    code: str
    bot_id: BotId
    token_id: SessionId


class ClaimStore:
    """Claims in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, new: NewClaim) -> int:
        """Write a claim; gives its version.

        Raises `EpochNotLive`, `EpochMirrored`, `BotRequired`, `SlotNotFound` or `Cooldown`.
        """
        async with self._database.transaction() as connection:
            now, cooldowns = await _open_day(connection, new.epoch_id)
            place = (new.epoch_id, new.slot_index)
            until = now + timedelta(seconds=cooldowns.bot_s)
            values = (*place, new.bot_id, new.token_id, until)
            seen = await connection.fetchrow(SQL["look"], *values)
            assert seen is not None
            _require(seen, now, cooldowns)
            version, at = await _tell(connection, new, holder=seen["holder"], now=now)
            await connection.execute(SQL["set_slot"], *place, new.code, new.bot_id, at, version)
            return version


async def _open_day(connection: Connection, epoch_id: EpochId) -> tuple[datetime, Cooldowns]:
    day = await connection.fetchrow(SQL["lock_day"], epoch_id)
    if day is None:
        raise EpochNotFound
    if day["phase"] != "live" or day["now"] >= day["freeze_at"]:
        raise EpochNotLive
    return day["now"], profile_of(day["config"]).cooldowns


def _require(seen: asyncpg.Record, now: datetime, cooldowns: Cooldowns) -> None:
    if seen["is_mirrored"]:
        raise EpochMirrored
    if not seen["may_claim"]:
        raise BotRequired("This token can no longer claim for the bot.")
    if not seen["is_slot"]:
        raise SlotNotFound
    for what, at, pause_s in (
        ("you", seen["bot_claimed_at"], cooldowns.bot_s),
        ("the slot", seen["slot_claimed_at"], cooldowns.slot_s),
    ):
        ago_s = inf if at is None else (now - at).total_seconds()
        wait_s = pause_s - ago_s
        # What is further ahead than a pause was claimed before the clock was put back.
        if wait_s > 0 and ago_s >= -pause_s:
            raise Cooldown(f"Too early for {what}: wait {wait_s:.1f} s.", retry_after_s=wait_s)


async def _tell(
    connection: Connection, new: NewClaim, *, holder: BotId | None, now: datetime
) -> tuple[int, datetime]:
    return await append(
        connection,
        new.epoch_id,
        CLAIMED if holder is None else OVERWRITTEN,
        at=now,
        bot_id=new.bot_id,
        slot_index=new.slot_index,
        payload={"code": new.code, "previous_bot_id": holder},
    )
