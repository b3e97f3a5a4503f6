"""`/v1/admin`: what moderators and admins do, each act on record."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import orjson

from persistence.accounts.audit_log import AuditEntry as RecordedAct
from persistence.accounts.audit_log import read_entries
from persistence.accounts.moderation import AccountDetails as Found
from persistence.accounts.moderation import AccountFilter
from persistence.accounts.sessions import SessionStore
from persistence.database import Database
from protocol.accounts import (
    AccountSession,
    AccountSessions,
    AuditLogEntry,
    AuditPage,
    AuditQuery,
    Ban,
    BanRequest,
    DeactivationRequest,
    EndSessionsRequest,
    OwnRoles,
    People,
    PeopleQuery,
    Person,
    RolesRequest,
    SessionsEnded,
    UserPath,
)
from protocol.errors import Forbidden, InvalidField, NotFound
from protocol.ids import UserId
from server.core.clock import Clock, wire_fields
from server.core.cursors import CursorCodec
from server.domains.people.accounts.moderation import AccountModeration
from server.gateway.http.endpoints import Endpoint, HttpRequest

TAG = "moderation"

_ID_MAX: Final = 2**63 - 1
_CURSOR: Final = CursorCodec("audit", int, int)
_PEOPLE: Final = CursorCodec("accounts", str, str)


class AdminRoutes:
    """The addresses of those who look after others."""

    def __init__(
        self,
        *,
        moderation: AccountModeration,
        sessions: SessionStore,
        database: Database,
        clock: Clock,
    ) -> None:
        self._moderation = moderation
        self._sessions = sessions
        self._database = database
        self._clock = clock

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        make = partial(
            Endpoint,
            auth="required",
            scope="moderator",
            errors=(Forbidden, NotFound),
            tag=TAG,
        )
        of_user = "/v1/admin/users/{user_id}"
        return [
            Endpoint(
                "GET",
                "/v1/me/roles",
                "Read which roles you have.",
                self._own_roles,
                auth="required",
                answer=OwnRoles,
                tag=TAG,
            ),
            make(
                "GET",
                "/v1/admin/users",
                "Find accounts.",
                self._find,
                query=PeopleQuery,
                answer=People,
            ),
            make(
                "POST",
                f"{of_user}/ban",
                "Ban an account.",
                self._ban,
                body=BanRequest,
                answer=Person,
            ),
            make("POST", f"{of_user}/unban", "Lift a ban.", self._unban, answer=Person),
            make(
                "POST",
                f"{of_user}/deactivate",
                "Hide an account and all that it made, and refuse its sign-in.",
                self._deactivate,
                scope="admin",
                body=DeactivationRequest,
                answer=Person,
            ),
            make(
                "POST",
                f"{of_user}/reactivate",
                "Make a deactivated account active again.",
                self._reactivate,
                scope="admin",
                answer=Person,
            ),
            make(
                "POST",
                f"{of_user}/roles",
                "Set an account's roles.",
                self._roles,
                scope="admin",
                body=RolesRequest,
                answer=Person,
            ),
            make(
                "GET",
                f"{of_user}/sessions",
                "List where an account is signed in.",
                self._list_sessions,
                scope="admin",
                answer=AccountSessions,
            ),
            make(
                "POST",
                f"{of_user}/sessions/end",
                "End one session of an account, or all of them.",
                self._end_sessions,
                scope="admin",
                body=EndSessionsRequest,
                answer=SessionsEnded,
            ),
            make(
                "GET",
                "/v1/admin/audit",
                "Read the audit log.",
                self._audit,
                scope="admin",
                query=AuditQuery,
                answer=AuditPage,
            ),
        ]

    async def _own_roles(self, request: HttpRequest) -> OwnRoles:
        return OwnRoles(user_id=request.who.user_id, roles=sorted(request.who.roles))

    async def _find(self, request: HttpRequest) -> People:
        query: PeopleQuery = request.query
        found = await self._moderation.find_accounts(
            AccountFilter(query.text, (), query.method, query.role, query.is_banned),
            after=None if query.cursor is None else _PEOPLE.read(query.cursor),
            limit=query.limit,
        )
        return People(
            people=[_person(person) for person in found],
            next=_PEOPLE.after_page(found, query.limit, lambda last: last.username),
        )

    async def _ban(self, request: HttpRequest) -> Person:
        body: BanRequest = request.body
        lasts = None if body.lasts_s is None else timedelta(seconds=body.lasts_s)
        ends_at = None if lasts is None else self._clock.now() + lasts
        await self._moderation.ban(
            request.who, _user_id(request), reason=body.reason, ends_at=ends_at
        )
        return await self._changed(request)

    async def _unban(self, request: HttpRequest) -> Person:
        await self._moderation.unban(request.who, _user_id(request))
        return await self._changed(request)

    async def _deactivate(self, request: HttpRequest) -> Person:
        await self._moderation.deactivate(request.who, _user_id(request), request.body.reason)
        return await self._changed(request)

    async def _reactivate(self, request: HttpRequest) -> Person:
        await self._moderation.reactivate(request.who, _user_id(request))
        return await self._changed(request)

    async def _roles(self, request: HttpRequest) -> Person:
        body: RolesRequest = request.body
        await self._moderation.set_roles(request.who, _user_id(request), body.roles, body.reason)
        return await self._changed(request)

    async def _list_sessions(self, request: HttpRequest) -> AccountSessions:
        account = await self._moderation.read_account(_user_id(request))
        listed = await self._sessions.list_sessions(account.user_id)
        return AccountSessions(sessions=[AccountSession(**wire_fields(each)) for each in listed])

    async def _end_sessions(self, request: HttpRequest) -> SessionsEnded:
        body: EndSessionsRequest = request.body
        ended = await self._moderation.end_sessions(
            request.who, _user_id(request), body.session_id, body.reason
        )
        return SessionsEnded(ended=ended)

    async def _audit(self, request: HttpRequest) -> AuditPage:
        query: AuditQuery = request.query
        below = _ID_MAX if query.cursor is None else _CURSOR.read(query.cursor)
        acts = await read_entries(
            self._database,
            below=below,
            limit=query.limit,
            target=query.user_id or query.target,
            actor=query.actor,
            action=query.action,
            since=_time(query.since, "since"),
            until=_time(query.until, "until"),
        )
        earlier = _CURSOR.after_page(acts, query.limit, lambda last: last.id)
        return AuditPage(acts=[_act(act) for act in acts], next=earlier)

    async def _changed(self, request: HttpRequest) -> Person:
        return _person(await self._moderation.read_account(_user_id(request)))


def _user_id(request: HttpRequest) -> UserId:
    return request.parse_path(UserPath).user_id


def _time(text: str | None, field: str) -> datetime | None:
    try:
        return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise InvalidField(f"{field}: there is no such time as {text}.", field=field) from None


def _person(found: Found) -> Person:
    ban = found.ban and Ban(**wire_fields(found.ban))
    return Person(**wire_fields(found) | {"ban": ban})


def _act(act: RecordedAct) -> AuditLogEntry:
    states = {
        name: orjson.loads(state or b"null")
        for name, state in (("before", act.before), ("after", act.after))
    }
    return AuditLogEntry(**wire_fields(act) | states)
