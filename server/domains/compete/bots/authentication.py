"""Signing in as a bot, and the end of it on every node."""

from collections.abc import Iterable
from typing import Final

from persistence.bots.tokens import BotTokenStore, TokenStatus
from protocol.errors import BadToken, TokenExpired
from protocol.ids import SessionId, UserId
from server.core.events import LocalEventBus, SessionRevoked
from server.core.subscriptions import AnnouncedSweep, Subscriptions
from server.domains.compete.bots.rules import is_bot_token, token_hash
from server.domains.interfaces import AccountAuthenticator
from server.gateway.session.identity import BotGrant, Identity
from server.gateway.session.sessions import Session

NEVER_S: Final = 253_402_300_799.0  # the end of the year 9999

ENDED: Final = (
    "The bot's token is no longer valid: it was revoked, or the bot is suspended, retired or "
    "another's; its owner can create a new one."
)


class TokenAuthenticator:
    """Says whose a token is, a bot's or a person's, and publishes which are good no more.

    `connections` are those of this node, whose tokens are looked at.
    """

    def __init__(
        self,
        *,
        store: BotTokenStore,
        subscriptions: Subscriptions,
        people: AccountAuthenticator,
        connections: Iterable[Session],
        events: LocalEventBus,
    ) -> None:
        self._store = store
        self._people = people
        self._connections = connections
        self._events = events
        self._changed = AnnouncedSweep(subscriptions, "bot-tokens", self.poll)

    async def authenticate(self, token: str) -> Identity:
        """Say who a token speaks for.

        Raises `BadToken`, `TokenExpired`, `Banned` or `AccountDeactivated`.

        Of a bot's token one indexed query says whether it is good at this moment.
        """
        if not is_bot_token(token):
            return await self._people.authenticate(token)
        found = await self._store.read_status(token_hash(token))
        if found is None:
            raise BadToken("There is no such bot token; the bot's owner can create a new one.")
        _require_good(found)
        return _identity(found)

    async def end_session(self, session_id: SessionId) -> None:
        """End a session. A bot's is its token, which stays good: its connections close."""
        await self._people.end_session(session_id)

    async def enforce(self) -> None:
        """Publish which tokens have just become bad, here and on other nodes."""
        self._changed.announce_sweep()
        await self.poll()

    async def poll(self) -> None:
        """Publish here which connections' tokens are not good any more."""
        of_bots = [session for session in self._connections if _is_open_bots(session)]
        if not of_bots:
            return
        good = await self._store.find_valid({session.who.session_id for session in of_bots})
        for token_id in {session.who.session_id for session in of_bots} - good:
            self._events.publish(SessionRevoked(token_id, ENDED))


def _is_open_bots(session: Session) -> bool:
    who = session.identity
    return who is not None and who.bot is not None and not session.socket.closing


def _require_good(token: TokenStatus) -> None:
    if token.is_revoked:
        raise BadToken("This bot token was revoked; the bot's owner can create a new one.")
    if token.is_expired:
        raise TokenExpired("This bot token has expired; the bot's owner can create a new one.")
    if token.status != "active":
        raise BadToken(f"The bot is {token.status}, so its tokens are not valid.")
    if not token.is_owners:
        raise BadToken(
            "The bot has changed owners, or its owner may not sign in now; its current owner can "
            "create a new token."
        )


def _identity(token: TokenStatus) -> Identity:
    expires_at = token.expires_at
    return Identity(
        user_id=UserId(token.bot_id),
        player_id=token.player_id,
        session_id=SessionId(token.token_id),
        display_name=token.slug,
        expires_at=NEVER_S if expires_at is None else expires_at.timestamp(),
        bot=BotGrant(token.bot_id, frozenset(token.scopes)),
    )
