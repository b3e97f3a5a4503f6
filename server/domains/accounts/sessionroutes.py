"""`/v1/me/sessions` and `/v1/auth/logout-everywhere`."""

from functools import partial

from persistence.sessions import OwnSession as Stored
from persistence.sessions import SessionStore
from protocol.account import LoggedOut, OwnSession, OwnSessions, SessionPath, SessionsEnded
from protocol.codec import validate
from protocol.errors import NotFound
from protocol.ids import SessionId
from server.domains.accounts.endings import Endings
from server.gateway.http import Endpoint, HttpRequest
from server.kernel.clock import wire_time

TAG = "accounts"


class SessionRoutes:
    """The addresses of somebody's own sessions."""

    def __init__(self, *, store: SessionStore, endings: Endings) -> None:
        self._store = store
        self._endings = endings

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        own = partial(Endpoint, auth="required", tag=TAG)
        return [
            own(
                "POST",
                "/v1/auth/logout-everywhere",
                "End all your sessions, this one too.",
                self._end_all,
                answer=SessionsEnded,
            ),
            own(
                "GET",
                "/v1/me/sessions",
                "List where you are signed in.",
                self._list,
                answer=OwnSessions,
            ),
            own(
                "DELETE",
                "/v1/me/sessions/{session_id}",
                "End one of your sessions.",
                self._end,
                answer=LoggedOut,
                errors=(NotFound,),
            ),
        ]

    async def _list(self, request: HttpRequest) -> OwnSessions:
        stored = await self._store.list_of(request.who.user_id)
        return OwnSessions(sessions=[_own(each, request.who.session_id) for each in stored])

    async def _end(self, request: HttpRequest) -> LoggedOut:
        session_id = validate(SessionPath, dict(request.path)).session_id
        await self._endings.end_own(session_id, request.who.user_id)
        return LoggedOut(session_id=session_id)

    async def _end_all(self, request: HttpRequest) -> SessionsEnded:
        return SessionsEnded(ended=await self._endings.end_all(request.who.user_id))


def _own(stored: Stored, this: SessionId) -> OwnSession:
    return OwnSession(
        session_id=stored.session_id,
        method=stored.method,
        created_at=wire_time(stored.created_at),
        used_at=wire_time(stored.used_at),
        is_this=stored.session_id == this,
    )
