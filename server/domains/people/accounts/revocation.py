"""The end of sessions: sockets close on every node, and what has expired is forgotten."""

from collections.abc import Callable, Iterator
from typing import Final, Protocol

from persistence.accounts.sessions import FORGOTTEN_AT_ONCE, Ended, SessionStore
from protocol.errors import CloseReason, NotFound
from protocol.ids import SessionId, UserId
from server.core.containment import contained
from server.core.periodic import AWAY, every
from server.core.subscriptions import AnnouncedSweep, Subscriptions
from server.domains.people.accounts.keys import Keys
from server.gateway.session.sessions import Session

# A transaction's times are from before it commits, so each look goes back this much further.
OVERLAP_S: Final = 20.0
TEND_EVERY_S: Final = 600.0
BATCHES_MAX: Final = 100  # of what has expired, each time

ENDED: Final = "This session was ended."
BANNED: Final = "This account was banned."


class Sockets(Protocol):
    """The connections of this node (`server.gateway.session.sessions.Sessions`)."""

    def __iter__(self) -> Iterator[Session]:
        """Go through all of them."""

    def dismiss(self, session: Session, why: CloseReason, message: str) -> None:
        """Tell a connection why it is closed, and close it."""


class SessionRevocation:
    """Ends sessions; `now` gives monotonic seconds."""

    def __init__(
        self,
        *,
        store: SessionStore,
        subscriptions: Subscriptions,
        sockets: Sockets,
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._sockets = sockets
        self._now = now
        self._looked_at = now()
        self._ended = AnnouncedSweep(subscriptions, "ended-sessions", self.look)

    async def end_own(self, session_id: SessionId, user_id: UserId) -> None:
        """End one of somebody's own sessions; raise `NotFound`."""
        if not await self._store.end_own(session_id, user_id):
            raise NotFound("You have no session with this id; GET /v1/me/sessions lists them.")
        await self.enforce()

    async def end_all(self, user_id: UserId, *, but: SessionId | None = None) -> int:
        """End every session of somebody, or every other; says how many."""
        ended = await self._store.end_all(user_id, but=but)
        await self.enforce()
        return ended

    async def enforce(self) -> None:
        """Close the sockets of what has just ended, here and on other nodes."""
        self.announce()
        await self.look()

    def announce(self) -> None:
        """Have other nodes look."""
        self._ended.announce()

    async def look(self) -> None:
        """Close the sockets here of whatever has ended on any node since the last look."""
        looked_at = self._now()
        self._close(await self._store.ended_lately(looked_at - self._looked_at + OVERLAP_S))
        self._looked_at = looked_at

    def _close(self, ended: Ended) -> None:
        if not ended.sessions and not ended.banned:
            return
        for session in list(self._sockets):
            if (who := session.identity) is None or session.socket.closing:
                continue
            with contained("closing a connection whose session ended"):
                if who.user_id in ended.banned:
                    self._sockets.dismiss(session, CloseReason.BANNED, BANNED)
                elif who.session_id in ended.sessions:
                    self._sockets.dismiss(session, CloseReason.LOGGED_OUT, ENDED)


class SessionMaintenance:
    """Forgets what has expired and replaces signing keys in time; every node may do it."""

    def __init__(
        self, *, store: SessionStore, keys: Keys, token_s: float, rotate_after_s: float
    ) -> None:
        self._store = store
        self._keys = keys
        self._token_s = token_s
        self._rotate_after_s = rotate_after_s

    async def tend(self) -> None:
        """Do it once."""
        with contained("replacing signing keys", passed=AWAY):
            await self._keys.tend(rotate_after_s=self._rotate_after_s, token_s=self._token_s)
        for _ in range(BATCHES_MAX):
            if await self._store.forget_expired() < FORGOTTEN_AT_ONCE:
                break

    async def run(self) -> None:
        """Do it, until cancelled."""
        await every(TEND_EVERY_S, self.tend, "clearing expired sessions")
