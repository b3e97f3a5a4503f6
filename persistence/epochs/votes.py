"""Votes. People's are written as themselves: row level security says which are theirs.

The database's triggers refuse what comes too late or out of range, whoever writes it, weigh the
rest and make each cast an event.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import NamedTuple

import asyncpg

from persistence.database import Connection, Database
from persistence.queries import load
from persistence.rls import Requester, RlsDatabase
from protocol.bots import WalletRequired
from protocol.epoch_profile import TargetType
from protocol.epochs import BotRequired, Cooldown, EpochMirrored, EpochNotLive, VotingClosed
from protocol.errors import InvalidField
from protocol.ids import UUID_PATTERN, BotId, EpochId, SessionId

SQL = load("epochs/votes")

# What the triggers say, by SQLSTATE.
TOO_LATE = "PH001"
OUT_OF_RANGE = "PH002"
NOT_TAKEN = "PH003"
NO_BOT = "PH004"
TOO_EARLY = "PH005"
MIRRORED = "PH006"


class NewVote(NamedTuple):
    """What somebody votes; `session_id` is the voter's present one."""

    epoch_id: EpochId
    session_id: SessionId
    target_type: TargetType
    target_id: str
    score: Decimal


class Counted(NamedTuple):
    """A vote that counts: the version of its event, and its weight."""

    version: int
    weight: Decimal


class BallotStore:
    """Votes in PostgreSQL."""

    def __init__(self, database: Database, rls: RlsDatabase) -> None:
        self._database = database
        self._rls = rls

    async def cast(self, who: Requester, vote: NewVote, *, wallet: str | None) -> Counted:
        """Vote with a wallet of one's own, the first if none is named.

        Raises `EpochNotLive`, `EpochMirrored`, `WalletRequired`, `VotingClosed` or `InvalidField`.
        """
        async with self._rls.of(who) as connection:
            with _read_refusals():
                return await _cast(connection, vote, await _own_wallet(connection, wallet))

    async def cast_as_bot(self, bot_id: BotId, vote: NewVote) -> Counted:
        """Vote as a bot; raise also `BotRequired`."""
        async with self._database.transaction() as connection:
            if not await connection.fetchval(SQL["may_vote"], bot_id, vote.session_id):
                raise BotRequired("This token cannot vote for the bot.")
            with _read_refusals():
                return await _cast(connection, vote, f"bot:{bot_id}")

    async def is_bot(self, bot_id: str) -> bool:
        """Say whether there is such a bot to vote on; whatever is no id, is none."""
        if re.fullmatch(UUID_PATTERN, bot_id) is None:
            return False
        async with self._database.acquire() as connection:
            return bool(await connection.fetchval(SQL["is_bot"], bot_id))


async def _own_wallet(connection: Connection, wallet: str | None) -> str:
    own: list[str] = [address for (address,) in await connection.fetch(SQL["wallets"])]
    if not own:
        raise WalletRequired
    if wallet is None:
        return own[0]
    if wallet.lower() not in own:
        raise InvalidField(
            "wallet: this is not one of your wallets; omit it or link it.", field="wallet"
        )
    return wallet.lower()


async def _cast(connection: Connection, vote: NewVote, voter: str) -> Counted:
    values = (vote.epoch_id, voter, vote.session_id, vote.target_type, vote.target_id, vote.score)
    weight: Decimal = await connection.fetchval(SQL["cast_vote"], *values)
    # The day is locked by the vote until the transaction ends, so this is the vote's own event.
    version: int = await connection.fetchval(SQL["version"], vote.epoch_id)
    return Counted(version, weight)


@contextmanager
def _read_refusals() -> Iterator[None]:
    """Say what the triggers and the policies refuse; a closed day's policy hides it."""
    try:
        yield
    except asyncpg.InsufficientPrivilegeError as error:
        raise EpochNotLive from error
    except asyncpg.PostgresError as error:
        if error.sqlstate == TOO_LATE:
            raise EpochNotLive from None
        if error.sqlstate == MIRRORED:
            raise EpochMirrored from None
        if error.sqlstate == OUT_OF_RANGE:
            problem = "score: the epoch's profile does not allow this score for this target."
            raise InvalidField(problem, field="score") from None
        if error.sqlstate == NOT_TAKEN:
            raise VotingClosed from None
        if error.sqlstate == NO_BOT:
            problem = "target_id: there is no such bot; send a bot_id, not its slug."
            raise InvalidField(problem, field="target_id") from None
        if error.sqlstate == TOO_EARLY:
            wait_s = float(error.detail or 0)
            raise Cooldown(
                f"Too early for another vote: wait {wait_s:.1f} s.", retry_after_s=wait_s
            ) from None
        raise
