"""Reports as people file them, and as moderators decide them, on record."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

import asyncpg

from persistence.accounts.audit_log import record_entry
from persistence.database import Connection, Database
from persistence.queries import load_queries
from persistence.rls import Requester, RlsDatabase
from protocol.creations import CreationNotFound
from protocol.errors import Forbidden, InvalidField
from protocol.ids import CommentId, CreationId, ReportId, UserId
from protocol.reports import (
    OPEN_REPORTS_MAX,
    ReportDecided,
    ReportNotFound,
    ReportTargetNotFound,
    TooManyReports,
)

SQL = load_queries("reports/store")


# What can be decided about what.
_OWNED: Final = frozenset(["creation", "comment", "profile"])
_POSSIBLE: Final[Mapping[str, frozenset[str]]] = {
    "none": _OWNED | {"message"},
    "warned": _OWNED,
    "marked_nsfw": frozenset(["creation"]),
    "removed": frozenset(["creation", "comment"]),
    "deactivated": _OWNED,
}


class ReportTarget(NamedTuple):
    """What is reported; one of these."""

    creation_id: CreationId | None = None
    comment_id: CommentId | None = None
    user_id: UserId | None = None
    message_id: str | None = None

    @property
    def name(self) -> str:
        """Name it for the audit log."""
        kinds = ("creation", "comment", "profile", "message")
        return next(f"{kind} {id_}" for kind, id_ in zip(kinds, self, strict=True) if id_)


class ReportPlace(NamedTuple):
    """Where a page of reports begins: after the one of this time and id."""

    at: datetime
    report_id: ReportId


NEWEST: Final = ReportPlace(
    datetime.max.replace(tzinfo=UTC), ReportId("ffffffff-ffff-ffff-ffff-ffffffffffff")
)
OLDEST: Final = ReportPlace(
    datetime.min.replace(tzinfo=UTC), ReportId("00000000-0000-0000-0000-000000000000")
)
# What the owner of a thing is told.
_NOTICES: Final[Mapping[str, str]] = {
    "warned": "Moderators warn you about something that you wrote or made",
    "marked_nsfw": "Moderators marked your creation as not safe for work",
    "removed": "Moderators removed something of yours",
    "deactivated": "Moderators deactivated your profile",
}


class ReportStore:
    """Reports: people file them under row level security, moderators decide as the server."""

    def __init__(self, database: Database, rls: RlsDatabase) -> None:
        self._database = database
        self._rls = rls

    async def file(
        self, who: Requester, target: ReportTarget, reason: str, details: str
    ) -> asyncpg.Record:
        """File a report, or give the open one of the same thing.

        Raises `ReportTargetNotFound` or `TooManyReports`.
        """
        async with self._rls.as_user(who) as connection:
            values = (who.user_id, *target, reason, details, OPEN_REPORTS_MAX)
            try:
                await connection.execute(SQL["add_report"], *values)
            except (asyncpg.InsufficientPrivilegeError, asyncpg.ForeignKeyViolationError):
                raise ReportTargetNotFound from None  # what they may not see
            filed = await connection.fetchrow(SQL["find_open"], who.user_id, *target)
            if filed is None:
                raise TooManyReports
            return filed

    async def list_filed(
        self, who: Requester, *, after: ReportPlace, limit: int
    ) -> list[asyncpg.Record]:
        """List somebody's reports, newest first."""
        async with self._rls.as_user(who) as connection:
            return list(await connection.fetch(SQL["list_filed"], who.user_id, *after, limit))

    async def list_queue(
        self, status: str, *, after: ReportPlace, limit: int, without: UserId | None
    ) -> list[asyncpg.Record]:
        """List reports of a status, oldest first, without those of what is somebody's."""
        async with self._database.acquire() as connection:
            return list(await connection.fetch(SQL["list_queue"], status, *after, limit, without))

    async def decide(
        self,
        report_id: ReportId,
        decision: str,
        note: str,
        *,
        actor: UserId,
        without: UserId | None,
    ) -> asyncpg.Record:
        """Decide a report and all open ones of the same thing, on record.

        Raises `ReportNotFound`, also for what is `without`'s, `ReportDecided`, or `Forbidden` for a
        deactivation of staff.
        """
        async with self._database.transaction() as connection:
            report = await _read(connection, report_id)
            target = ReportTarget(*(report[name] for name in ReportTarget._fields))
            owner: UserId | None = report["owner_id"]
            if owner is not None and owner == without:
                raise ReportNotFound
            _check_decision(target, decision)
            await _lock(connection, target, owner)
            status = "dismissed" if decision == "none" else "upheld"
            values = (*target, status, decision, note, actor)
            decided = await connection.fetch(SQL["decide"], *values)
            if not any(row["id"] == report_id for row in decided):
                raise ReportDecided
            await _apply(connection, target, owner, decision)
            await _notify(connection, report_id, target, owner, decision)
            reporters = {row["reporter_id"] for row in decided} - {None}
            await record_entry(
                connection,
                actor=actor,
                action="decide_report",
                target=target.name,
                after={"decision": decision, "note": note, "reports": len(decided)},
            )
            for reporter in sorted(reporters):
                texts = ("Moderators decided about your report", "Thank you for reporting.")
                key = f"report:{report_id}:{reporter}"
                await connection.execute(SQL["notify"], reporter, *texts, None, None, key)
            return await _read(connection, report_id)

    async def set_featured(
        self, creation_id: CreationId, *, is_featured: bool, actor: UserId
    ) -> UserId:
        """Feature a published creation, or end that, on record; gives its owner."""
        async with self._database.transaction() as connection:
            owner: UserId | None = await connection.fetchval(
                SQL["set_featured"], creation_id, is_featured
            )
            if owner is None:
                raise CreationNotFound
            await record_entry(
                connection,
                actor=actor,
                action="feature_creation",
                target=f"creation {creation_id}",
                after={"is_featured": is_featured},
            )
            return owner


def _check_decision(target: ReportTarget, decision: str) -> None:
    """Refuse what cannot be done to a thing; raise `InvalidField`."""
    kind = target.name.partition(" ")[0]
    if kind not in _POSSIBLE[decision]:
        problem = f"decision: a {kind} cannot be {decision}; choose another decision."
        raise InvalidField(problem, field="decision")


async def _read(connection: Connection, report_id: ReportId) -> asyncpg.Record:
    report = await connection.fetchrow(SQL["read_report"], report_id)
    if report is None:
        raise ReportNotFound
    return report


async def _lock(connection: Connection, target: ReportTarget, owner: UserId | None) -> None:
    """Lock what a decision changes before its reports, in the order that deletions have."""
    if owner is not None:
        await connection.execute(SQL["lock_person"], owner)
    if target.creation_id is not None:
        await connection.execute(SQL["lock_creation"], target.creation_id)
    if target.comment_id is not None:
        await connection.execute(SQL["lock_comment"], target.comment_id)


async def _apply(
    connection: Connection, target: ReportTarget, owner: UserId | None, decision: str
) -> None:
    if decision == "none" and target.comment_id is not None:
        await connection.execute(SQL["unflag_comment"], target.comment_id)
    elif decision == "marked_nsfw":
        await connection.execute(SQL["mark_nsfw"], target.creation_id)
    elif decision == "removed" and target.creation_id is not None:
        await connection.execute(SQL["remove_creation"], target.creation_id)
    elif decision == "removed":
        await connection.execute(SQL["remove_comment"], target.comment_id)
    elif decision == "deactivated" and owner is not None:
        if await connection.fetchval(SQL["has_role"], owner):
            raise Forbidden("Staff cannot be deactivated; an admin takes their roles away first.")
        await connection.execute(SQL["deactivate"], owner)


async def _notify(
    connection: Connection,
    report_id: ReportId,
    target: ReportTarget,
    owner: UserId | None,
    decision: str,
) -> None:
    if owner is not None and decision in _NOTICES:
        about = (target.creation_id, target.comment_id)
        key = f"moderation:{report_id}"
        await connection.execute(SQL["notify"], owner, _NOTICES[decision], "", *about, key)
