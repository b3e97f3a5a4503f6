"""Votes. People's are written as themselves: row level security says which are theirs.

The database's triggers refuse what comes too late or out of range, whoever writes it, weigh the
rest and make each cast an event.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from enum import Enum
from typing import NamedTuple, TypeAlias

import asyncpg

from persistence.database import Connection, Database
from persistence.queries import load_queries
from persistence.rls import Requester, RlsDatabase
from protocol.epoch_profile import TargetType
from protocol.ids import UUID_PATTERN, BotId, EpochId, SessionId

SQL = load_queries("epochs/votes")


class VoteRefusalReason(Enum):
    """Why the database does not take a vote: what its triggers say, by SQLSTATE, and the rest."""

    TOO_LATE = "PH001"
    OUT_OF_RANGE = "PH002"
    NOT_TAKEN = "PH003"
    NO_BOT = "PH004"
    TOO_EARLY = "PH005"
    MIRRORED = "PH006"
    NOT_ITS_BOT = "bot"


class VoteRefused(Exception):
    """The vote was not written; `wait_s` says how long it is too early."""

    def __init__(self, why: VoteRefusalReason, *, wait_s: float = 0.0) -> None:
        super().__init__(why.name)
        self.why = why
        self.wait_s = wait_s


class NewVote(NamedTuple):
    """What somebody votes; `session_id` is the voter's present one."""

    epoch_id: EpochId
    session_id: SessionId
    target_type: TargetType
    target_id: str
    score: Decimal


class CountedVote(NamedTuple):
    """A vote that counts: the version of its event, and its weight."""

    version: int
    weight: Decimal


# Chooses one of somebody's wallets, the first linked first; raises where none will do.
ChooseWallet: TypeAlias = Callable[[Sequence[str]], str]


class VoteStore:
    """Votes in PostgreSQL."""

    def __init__(self, database: Database, rls: RlsDatabase) -> None:
        self._database = database
        self._rls = rls

    async def cast_vote(self, who: Requester, vote: NewVote, choose: ChooseWallet) -> CountedVote:
        """Vote with the wallet that `choose` takes; raise `VoteRefused`, and what it raises."""
        async with self._rls.as_user(who) as connection:
            own = [address for (address,) in await connection.fetch(SQL["wallets"])]
            wallet = choose(own)
            with _read_refusals():
                return await _cast(connection, vote, wallet)

    async def cast_bot_vote(self, bot_id: BotId, vote: NewVote) -> CountedVote:
        """Vote as a bot; raise `VoteRefused`."""
        async with self._database.transaction() as connection:
            if not await connection.fetchval(SQL["may_vote"], bot_id, vote.session_id):
                raise VoteRefused(VoteRefusalReason.NOT_ITS_BOT)
            with _read_refusals():
                return await _cast(connection, vote, f"bot:{bot_id}")

    async def is_bot(self, bot_id: str) -> bool:
        """Say whether there is such a bot to vote on; whatever is no id, is none."""
        if re.fullmatch(UUID_PATTERN, bot_id) is None:
            return False
        async with self._database.acquire() as connection:
            return bool(await connection.fetchval(SQL["is_bot"], bot_id))


async def _cast(connection: Connection, vote: NewVote, voter: str) -> CountedVote:
    values = (vote.epoch_id, voter, vote.session_id, vote.target_type, vote.target_id, vote.score)
    weight: Decimal = await connection.fetchval(SQL["cast_vote"], *values)
    # The day is locked by the vote until the transaction ends, so this is the vote's own event.
    version: int = await connection.fetchval(SQL["version"], vote.epoch_id)
    return CountedVote(version, weight)


@contextmanager
def _read_refusals() -> Iterator[None]:
    """Read what the triggers and the policies refuse; a closed day's policy hides it."""
    try:
        yield
    except asyncpg.InsufficientPrivilegeError as error:
        raise VoteRefused(VoteRefusalReason.TOO_LATE) from error
    except asyncpg.PostgresError as error:
        try:
            why = VoteRefusalReason(error.sqlstate)
        except ValueError:
            raise error from None
        wait_s = float(error.detail or 0) if why is VoteRefusalReason.TOO_EARLY else 0.0
        raise VoteRefused(why, wait_s=wait_s) from None
