"""Merging two accounts, and undoing that: each is one transaction, one at a time.

A merge moves rows from the account that is *merged* to the one that *stays*, as the decisions in
`merge_decisions.py` say, and notes which rows those were. What does not move stays with the merged
account, which lives on as an alias: `profiles.merged_into`. A preview is the merge itself, rolled
back, so the two cannot differ; its digest says which rows it moved, and the merge is refused if
that has changed.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final, NamedTuple

import asyncpg
import orjson

from persistence.accounts import merge_progress as progress
from persistence.accounts.audit_log import record_entry
from persistence.accounts.merge_decisions import MergeDecision, find_merge_decision
from persistence.accounts.merge_progress import MovedBalance, RenamedSlot
from persistence.accounts.store import NewSession, SessionOwner, open_session
from persistence.database import Connection, Database
from persistence.event_outbox import append_durable_event
from persistence.queries import load_queries
from persistence.saves.changes import ProgressStore
from protocol.domain_events import UserMerged, UserMergeUndone
from protocol.ids import PlayerId, SessionId, UserId

SQL = load_queries("accounts/merges")

METHODS: Final = "playhall_auth.methods"
LISTED_MAX: Final = 100  # of an account; older ones are not listed

# Seals a method for another account: its kind, as it is sealed, from whom, to whom. None if it
# cannot be opened: its account is still its owner's.
ResealMethod = Callable[[str, bytes, UserId, UserId], bytes | None]


class MergeAccount(NamedTuple):
    """One of the two accounts."""

    user_id: UserId
    player_id: PlayerId
    username: str
    display_name: str
    merged_into: UserId | None
    xp_total: int
    is_anonymous: bool


class MovedRows(NamedTuple):
    """How many rows of a table moved, and how many stay since the other account has the like."""

    relation: str
    referrer: str
    moved: int
    kept: int


class MergePlan(NamedTuple):
    """What a merge did, or would do; `digest` names exactly that.

    `refused` are purposes that the account that stays refuses now, since the merged one does.
    """

    merged: MergeAccount
    moves: list[MovedRows]
    renamed: list[RenamedSlot]
    balances: list[MovedBalance]
    refused: list[str]
    methods_moved: list[str]
    methods_kept: list[str]
    undo_until: datetime
    digest: str


class CompletedMerge(NamedTuple):
    """A merge that was done; `ended` are the sessions that it ended."""

    plan: MergePlan
    holder: SessionOwner
    ended: list[SessionId]


class UndoneMerge(NamedTuple):
    """An undone merge: who is whose again, how many rows came back, and how many were gone."""

    stays: SessionOwner
    merged: SessionOwner
    moved: int
    missing: int
    ended: list[SessionId]


class MergeRow(NamedTuple):
    """An account that was merged into another one."""

    merge_id: str
    user_id: UserId
    player_id: PlayerId
    username: str
    display_name: str
    merged_at: datetime
    undo_until: datetime
    undone_at: datetime | None
    can_undo: bool


class SessionProof(NamedTuple):
    """How and when a session was signed in to, and whether its account has a way to sign in."""

    signed_in_at: datetime
    method: str
    can_sign_in: bool


class AccountGone(Exception):
    """One of the accounts, or the session that proved it, is gone, or it was merged meanwhile."""


class AccountPlaying(Exception):
    """One of the accounts is in a lobby or a game."""


class AccountSubscribed(Exception):
    """The account that would be merged has a subscription, which its customer at Stripe pays."""


class MergePlanChanged(Exception):
    """A merge would not do what its preview said."""


class NoSuchMerge(Exception):
    """Nothing was merged into this account under this id."""


class MergeNotUndoable(Exception):
    """A merge cannot be undone; the argument says why."""


class _Preview(Exception):
    def __init__(self, plan: MergePlan) -> None:
        self.plan = plan


class MergeStore:
    """Merges in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._changes = ProgressStore(database)

    async def read_session_proof(
        self, user_id: UserId, session_id: SessionId
    ) -> SessionProof | None:
        """Read how a session came about; None if it has ended."""
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(SQL["read_proof"], session_id, user_id)
        return None if row is None else SessionProof(*row)

    async def preview(
        self, stays: UserId, merged: UserId, *, merge_id: str, undo_s: float, reseal: ResealMethod
    ) -> MergePlan:
        """Say what a merge would do; raise `AccountGone`, `AccountPlaying` or `TooMuch`."""
        try:
            async with self._database.transaction() as connection:
                plan, _ = await _merge(
                    connection, stays, merged, merge_id=merge_id, undo_s=undo_s, reseal=reseal
                )
                raise _Preview(plan)  # noqa: TRY301 - what rolls the transaction back
        except _Preview as previewed:
            return previewed.plan

    async def merge(
        self,
        stays: UserId,
        merged: UserId,
        *,
        merge_id: str,
        session_id: SessionId,
        digest: str,
        undo_s: float,
        reseal: ResealMethod,
        session: NewSession,
    ) -> CompletedMerge:
        """Merge one account into another.

        Raises `AccountGone`, `AccountPlaying` or `MergePlanChanged`.
        `session_id` is the session that proved the merged account: it must still be good.
        """
        async with self._database.transaction() as connection:
            plan, ended = await _merge(
                connection,
                stays,
                merged,
                merge_id=merge_id,
                undo_s=undo_s,
                reseal=reseal,
                proved_by=session_id,
            )
            if plan.digest != digest:
                raise MergePlanChanged
            holder = await open_session(connection, stays, session)
            if holder is None:
                raise AccountGone
            await record_entry(
                connection,
                actor=stays,
                action="merge",
                target=merged,
                after={"merge_id": merge_id, "into": stays},
            )
            await append_durable_event(connection, UserMerged(user_id=stays, merged_user_id=merged))
            # Devices that come back learn that there are other slots; none is connected now.
            said = {"merge_id": merge_id, "user_id": merged}
            await self._changes.append(connection, stays, "account.merged", None, said)
        return CompletedMerge(plan, holder, ended)

    async def undo(
        self,
        merge_id: str,
        user_id: UserId,
        *,
        reseal: ResealMethod,
        sessions: Sequence[NewSession],
    ) -> UndoneMerge:
        """Undo a merge; raise `NoSuchMerge`, `AccountPlaying` or `MergeNotUndoable`.

        `sessions` are opened: one for the account that stays, one for the one that was merged.
        """
        async with self._database.transaction() as connection:
            undone = await _undo(connection, merge_id, user_id, reseal=reseal, sessions=sessions)
            for each in (undone.stays, undone.merged):
                said = {"merge_id": merge_id}
                await self._changes.append(
                    connection, each.user_id, "account.merge_undone", None, said
                )
        return undone

    async def list_merges(self, user_id: UserId) -> list[MergeRow]:
        """Read what was merged into an account, the latest first."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["list_merges"], user_id, LISTED_MAX)
        return [MergeRow(*row) for row in rows]

    async def delete_final_moves(self, *, limit: int) -> int:
        """Forget what some merges moved that can no longer be undone; says how many rows."""
        async with self._database.acquire() as connection:
            return int(await connection.fetchval(SQL["forget_moves"], limit))


async def lock_merges(connection: Connection) -> None:
    """Let one merge, undo or erasure happen at a time, until the transaction ends."""
    await connection.execute(SQL["lock_merges"])


async def _locked(connection: Connection, *user_ids: UserId) -> list[MergeAccount]:
    """Lock accounts, in the order in which they are given; raise `AccountGone`."""
    await lock_merges(connection)
    await progress.lock_progress(connection, user_ids)
    rows = await connection.fetch(SQL["lock_accounts"], user_ids)
    parts = {part.user_id: part for part in (MergeAccount(*row) for row in rows)}
    if len(parts) < len(user_ids):
        raise AccountGone
    if await connection.fetchval(SQL["is_playing"], user_ids):
        raise AccountPlaying
    return [parts[user_id] for user_id in user_ids]


async def _merge(
    connection: Connection,
    stays: UserId,
    merged: UserId,
    *,
    merge_id: str,
    undo_s: float,
    reseal: ResealMethod,
    proved_by: SessionId | None = None,
) -> tuple[MergePlan, list[SessionId]]:
    into, part = await _locked(connection, stays, merged)
    if into.merged_into is not None or part.merged_into is not None:
        raise AccountGone
    if proved_by and await connection.fetchrow(SQL["read_proof"], proved_by, merged) is None:
        raise AccountGone
    if await connection.fetchval(SQL["is_subscribed"], merged):
        raise AccountSubscribed
    before = await progress.read_holdings(connection, [stays, merged])
    balances = await progress.read_balances(connection, stays, merged)
    undo_until = await connection.fetchval(
        SQL["add_merge"], merge_id, stays, merged, into.is_anonymous, undo_s
    )
    # First: whoever may not change a row's owner is allowed to between the parts of one account.
    await connection.execute(SQL["set_merged_into"], merged, stays)
    moves = await _move_rows(connection, merge_id)
    renamed = await progress.rename_slots(connection, merge_id)
    await progress.require_same(connection, [stays, merged], before)
    refused = await progress.refuse_as_merged(connection, stays, merged)
    moved, kept = await _move_methods(connection, merge_id, stays, merged, reseal)
    if moved:
        await connection.execute(SQL["set_anonymous"], stays, False)
    ended = [row["id"] for row in await connection.fetch(SQL["end_sessions"], [stays, merged])]
    rows = await connection.fetchval(SQL["digest_moves"], merge_id)
    facts = [stays, merged, rows, [list(move) for move in moves], refused, moved, kept]
    digest = sha256(orjson.dumps(facts)).hexdigest()
    return MergePlan(
        part, moves, renamed, balances, refused, moved, kept, undo_until, digest
    ), ended


async def _move_rows(connection: Connection, merge_id: str) -> list[MovedRows]:
    moves = []
    for relation, referrer in await connection.fetch(SQL["person_columns"]):
        column = f"{relation}.{referrer}"
        moved = kept = 0
        if column == progress.LEDGER:
            moved = await progress.move_ledger(connection, merge_id)
        elif column == progress.BALANCES:
            moved = await progress.move_balances(connection, merge_id)
        elif find_merge_decision(column) is MergeDecision.MOVE:
            row = await connection.fetchrow(SQL["move_rows"], merge_id, relation, referrer)
            assert row is not None
            moved, kept = row
        # The alias that was set just now is not moved: it names the account that stays.
        if moved or kept:
            moves.append(MovedRows(relation, referrer, moved, kept))
    return moves


async def _move_methods(
    connection: Connection, merge_id: str, stays: UserId, merged: UserId, reseal: ResealMethod
) -> tuple[list[str], list[str]]:
    moved, kept = [], []
    for kind, sealed, linked_at, is_taken in await connection.fetch(
        SQL["methods_to_move"], merged, stays
    ):
        anew = None if is_taken else reseal(kind, sealed, merged, stays)
        if anew is None:
            kept.append(kind)
            continue
        await connection.execute(SQL["move_method"], merged, kind, stays, anew)
        key = orjson.dumps({"kind": kind, "linked_at": linked_at})
        await connection.execute(SQL["note_move"], merge_id, METHODS, "user_id", key)
        moved.append(kind)
    return moved, kept


async def _undo(
    connection: Connection,
    merge_id: str,
    user_id: UserId,
    *,
    reseal: ResealMethod,
    sessions: Sequence[NewSession],
) -> UndoneMerge:
    await lock_merges(connection)
    found = await connection.fetchrow(SQL["find_merge"], merge_id, user_id)
    if found is None:
        raise NoSuchMerge
    if found["undone_at"] is not None:
        raise MergeNotUndoable("it was undone already")
    if not found["is_open"]:
        raise MergeNotUndoable("it was done too long ago")
    merged: UserId = found["merged_user_id"]
    stays, part = await _locked(connection, user_id, merged)
    if part.merged_into != user_id or stays.merged_into is not None:
        raise MergeNotUndoable("the accounts were merged again since; undo that first")
    before = await progress.read_holdings(connection, [user_id, merged])
    await _move_methods_back(connection, merge_id, user_id, merged, reseal)
    try:
        row = await connection.fetchrow(SQL["move_rows_back"], merge_id)
        transactions = await progress.move_progress_back(connection, merge_id)
    except (asyncpg.IntegrityConstraintViolationError, asyncpg.UndefinedTableError) as error:
        raise MergeNotUndoable(str(error)) from error
    assert row is not None
    await progress.require_same(connection, [user_id, merged], before)
    await connection.execute(SQL["set_merged_into"], merged, None)
    await progress.grant_as_before(connection, user_id)
    for account, was_anonymous in ((stays, found["was_anonymous"]), (part, part.is_anonymous)):
        left = await connection.fetch(SQL["methods_to_move"], account.user_id, account.user_id)
        if not left and not was_anonymous:
            raise MergeNotUndoable(
                f"nobody could sign in to {account.username}; link a method first"
            )
        await connection.execute(SQL["set_anonymous"], account.user_id, not left)
    await connection.execute(SQL["finish_undo"], merge_id)
    ended = [row["id"] for row in await connection.fetch(SQL["end_sessions"], [user_id])]
    holders = [
        await open_session(connection, owner, session)
        for owner, session in zip((user_id, merged), sessions, strict=True)
    ]
    if holders[0] is None or holders[1] is None:
        raise MergeNotUndoable("one of the accounts is banned")
    await record_entry(
        connection,
        actor=user_id,
        action="undo_merge",
        target=merged,
        after={"merge_id": merge_id},
    )
    await append_durable_event(connection, UserMergeUndone(user_id=user_id, merged_user_id=merged))
    moved = row["moved"] + transactions
    return UndoneMerge(holders[0], holders[1], moved, row["missing"], ended)


async def _move_methods_back(
    connection: Connection, merge_id: str, stays: UserId, merged: UserId, reseal: ResealMethod
) -> None:
    present = {
        row["kind"]: row for row in await connection.fetch(SQL["methods_to_move"], stays, merged)
    }
    for kind, linked_at in await connection.fetch(SQL["moved_methods"], merge_id):
        if (method := present.get(kind)) is None or method["linked_at"] != linked_at:
            raise MergeNotUndoable(f"the sign-in method {kind} was changed since")
        if method["is_taken"]:
            raise MergeNotUndoable(f"both accounts have a sign-in method {kind} by now")
        if (anew := reseal(kind, method["sealed"], stays, merged)) is None:
            raise MergeNotUndoable(f"the sign-in method {kind} cannot be read")
        await connection.execute(SQL["move_method"], stays, kind, merged, anew)
