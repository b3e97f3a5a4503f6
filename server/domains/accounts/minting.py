"""Sessions are minted here: refresh tokens, access tokens, and names for new people."""

import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import NamedTuple

from persistence.accounts import Guest, Holder, IssuedToken, NewSession, UsernameTaken
from persistence.moderation import Ban
from protocol.account import Tokens
from protocol.errors import Banned, Overloaded
from protocol.ids import PlayerId, SessionId, UserId, new_id
from server.domains.accounts.keys import Keys
from server.domains.accounts.names import NUMBER_BITS, Names, coin
from server.domains.accounts.rules import family_hash, new_token, token_hash
from server.domains.accounts.tokens import sign
from server.kernel.clock import Clock, wire_time

# Names are drawn from billions, so a second draw is rare and a third one hardly ever.
NAME_DRAWS_MAX = 5


class Lifetimes(NamedTuple):
    """How long tokens are good for, in seconds."""

    access_s: int
    refresh_s: int


class Minted(NamedTuple):
    """A session to be stored, and its refresh token in the clear, for the client alone."""

    session: NewSession
    refresh_token: str


class Mint:
    """Makes what a client keeps."""

    def __init__(self, *, keys: Keys, clock: Clock, lifetimes: Lifetimes) -> None:
        self._keys = keys
        self._clock = clock
        self._lifetimes = lifetimes

    def session(self, method: str) -> Minted:
        """Make a session that was signed in to with this method."""
        token = new_token()
        return Minted(NewSession(SessionId(new_id()), self.issued(token), method), token)

    def issued(self, token: str) -> IssuedToken:
        """Write down a refresh token that is handed out now."""
        now = self._clock.now()
        expires_at = now + timedelta(seconds=self._lifetimes.refresh_s)
        family = family_hash(token)
        assert family is not None
        return IssuedToken(token_hash(token), now, expires_at, family)

    def tokens(self, holder: Holder, refresh_token: str) -> Tokens:
        """Write what the client keeps."""
        lifetime_s = self._lifetimes.access_s
        access_token = sign(holder, self._keys.newest, now=self._clock.now(), lifetime_s=lifetime_s)
        return Tokens(
            access_token=access_token,
            expires_in=lifetime_s,
            refresh_token=refresh_token,
            user_id=holder.user_id,
            player_id=holder.player_id,
            display_name=holder.display_name,
        )

    async def person(
        self,
        add: Callable[[Guest, NewSession], Awaitable[None]],
        *,
        method: str,
        display_name: str | None,
    ) -> Tokens:
        """Draw a name for somebody new until `add` finds that nobody has it."""
        session, refresh_token = self.session(method)
        for _ in range(NAME_DRAWS_MAX):
            guest = new_person(coin(secrets.randbits(NUMBER_BITS)), display_name)
            try:
                await add(guest, session)
            except UsernameTaken:
                continue
            who = (session.session_id, guest.user_id, guest.player_id, guest.display_name)
            return self.tokens(Holder(*who), refresh_token)
        raise Overloaded


def refuse_banned(ban: Ban | None) -> None:
    """Raise `Banned`, with the reason and the end, if there is a ban."""
    if ban is None:
        return
    until = f"until {wire_time(ban.ends_at)}" if ban.ends_at else "for good"
    raise Banned(f"This account is banned {until}: {ban.reason}")


def new_person(names: Names, display_name: str | None, *, user_id: UserId | None = None) -> Guest:
    """Write down somebody new."""
    return Guest(
        user_id=user_id or UserId(new_id()),
        player_id=PlayerId(new_id()),
        username=names.username,
        display_name=display_name or names.display_name,
        avatar_seed=names.avatar_seed,
        color=names.color,
    )
