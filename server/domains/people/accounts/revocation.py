"""Sessions that end, people who are banned or not active: published on every node."""

from collections.abc import Callable, Iterable
from typing import Final

from persistence.accounts.sessions import SessionStore
from protocol.errors import CloseReason, NotFound
from protocol.ids import PlayerId, SessionId, UserId
from server.core.events import (
    CreationListed,
    Listeners,
    LocalEventBus,
    PlayerErased,
    SessionRevoked,
    UserBanned,
    UserDeactivated,
)
from server.core.periodic import repeat_every
from server.core.subscriptions import AnnouncedSweep, Subscriptions
from server.domains.people.accounts.keys import SigningKeys
from server.gateway.session.sessions import Session, Sessions

# A transaction's times are from before it commits, so each look goes back this much further.
OVERLAP_S: Final = 20.0
TEND_EVERY_S: Final = 600.0

ENDED: Final = "This session was ended."
BANNED: Final = "This account was banned."
DEACTIVATED: Final = "This account was deactivated."
ERASED: Final = "This account was erased."


class SessionRevocation:
    """Publishes which sessions ended and who was banned, on whichever node; `now` is monotonic.

    What happens here is published at once. Other nodes are notified, and find it in the database;
    so does this one, once more, for a connection that was still being authenticated.
    """

    def __init__(
        self,
        *,
        store: SessionStore,
        subscriptions: Subscriptions,
        events: LocalEventBus,
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._events = events
        self._now = now
        self._looked_at = now()
        self._sweep = AnnouncedSweep(subscriptions, "ended-sessions", self.poll)

    async def end_own(self, session_id: SessionId, user_id: UserId) -> None:
        """End one of somebody's own sessions; raise `NotFound`."""
        if not await self._store.end_session(session_id, user_id):
            raise NotFound("You have no session with this id; GET /v1/me/sessions lists them.")
        self.publish_revoked(session_id)

    async def end_all(self, user_id: UserId, *, but: SessionId | None = None) -> int:
        """End every session of somebody, or every other; says how many."""
        ended = await self._store.end_sessions(user_id, but=but)
        self.publish_revoked(*ended)
        return len(ended)

    def publish_revoked(self, *session_ids: SessionId) -> None:
        """Publish that sessions were ended here; that must be committed."""
        self._publish_revoked(session_ids)
        self._sweep.announce_sweep()

    def publish_banned(self, user_id: UserId) -> None:
        """Publish that somebody was banned here; that must be committed."""
        self._events.publish(UserBanned(user_id))
        self._sweep.announce_sweep()

    def publish_activity(self, user_id: UserId, *, is_active: bool) -> None:
        """Publish that an account was deactivated or reactivated here; that must be committed."""
        if not is_active:
            self._events.publish(UserDeactivated(user_id))
            self._sweep.announce_sweep()
        self._events.publish(CreationListed(None, user_id, is_new=False))

    async def poll_on_all_nodes(self) -> None:
        """Publish what has just ended, here and on other nodes."""
        self._sweep.announce_sweep()
        await self.poll()

    async def poll(self) -> None:
        """Publish here what has ended on any node since the last look."""
        looked_at = self._now()
        ended = await self._store.read_recently_ended(looked_at - self._looked_at + OVERLAP_S)
        # Bans first: whoever is banned reads that, and not that their session was ended.
        for user_id in ended.banned:
            self._events.publish(UserBanned(user_id))
        for user_id in ended.deactivated:
            self._events.publish(UserDeactivated(user_id))
        self._publish_revoked(ended.sessions)
        self._looked_at = looked_at

    def _publish_revoked(self, session_ids: Iterable[SessionId]) -> None:
        for session_id in session_ids:
            self._events.publish(SessionRevoked(session_id, ENDED))


class RevokedConnections:
    """Closes this node's connections of sessions, accounts and players that are no more."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def listens(self) -> Listeners:
        """List the events, each with what it does."""
        return {
            SessionRevoked: self._session_revoked,
            UserBanned: self._user_banned,
            UserDeactivated: self._user_deactivated,
            PlayerErased: self._player_erased,
        }

    def _session_revoked(self, event: SessionRevoked) -> None:
        found = self._sessions.connection_of_session(event.session_id)
        self._close(found, event.session_id, CloseReason.LOGGED_OUT, event.message)

    def _user_banned(self, event: UserBanned) -> None:
        found = self._sessions.connection_of_user(event.user_id)
        self._close(found, event.user_id, CloseReason.BANNED, BANNED)

    def _user_deactivated(self, event: UserDeactivated) -> None:
        found = self._sessions.connection_of_user(event.user_id)
        self._close(found, event.user_id, CloseReason.DEACTIVATED, DEACTIVATED)

    def _player_erased(self, event: PlayerErased) -> None:
        found = self._sessions.connection_of_player(event.player_id)
        self._close(found, event.player_id, CloseReason.LOGGED_OUT, ERASED)

    def _close(
        self,
        main: Session | None,
        key: SessionId | UserId | PlayerId,
        why: CloseReason,
        message: str,
    ) -> None:
        for connection in (main, *self._sessions.companions_of(key)):
            if connection is not None and not connection.socket.closing:
                self._sessions.dismiss(connection, why, message)


class SigningKeyMaintenance:
    """Replaces signing keys in time; every node may do it."""

    def __init__(
        self,
        *,
        keys: SigningKeys,
        token_s: float,
        rotate_after_s: float,
    ) -> None:
        self._keys = keys
        self._token_s = token_s
        self._rotate_after_s = rotate_after_s

    async def maintain(self) -> None:
        """Do it once."""
        await self._keys.rotate_and_retire(
            rotate_after_s=self._rotate_after_s, token_s=self._token_s
        )

    async def run(self) -> None:
        """Do it, until cancelled."""
        await repeat_every(TEND_EVERY_S, self.maintain, "replacing signing keys")
