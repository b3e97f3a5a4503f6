"""Guests, sessions and identities: what the room's commands and addresses have in common."""

import asyncio
import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

from persistence.accounts import (
    Account,
    AccountStore,
    Guest,
    Holder,
    IssuedToken,
    SpentToken,
    UsernameTaken,
)
from protocol.account import Tokens
from protocol.errors import BadToken, Overloaded, PlayhallError, TokenExpired
from protocol.ids import PlayerId, SessionId, UserId, new_id
from server.domains.accounts.keys import Keys
from server.domains.accounts.names import NUMBER_BITS, Names, coin
from server.domains.accounts.rules import Verdict, judge, successor_of, token_hash
from server.domains.accounts.tokens import kid_of, sign, verify
from server.gateway.identity import Identity
from server.kernel.clock import Clock

# Names are drawn from billions, so a second draw is rare and a third one hardly ever.
NAME_DRAWS_MAX = 5


class Lifetimes(NamedTuple):
    """How long tokens are good for, in seconds."""

    access_s: int
    refresh_s: int


class Accounts:
    """Everybody who signed in. `end_sockets` closes the connections of a session."""

    def __init__(
        self,
        *,
        store: AccountStore,
        keys: Keys,
        clock: Clock,
        lifetimes: Lifetimes,
        end_sockets: Callable[[str], None],
    ) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock
        self._lifetimes = lifetimes
        self._end_sockets = end_sockets

    async def authenticate(self, token: str) -> Identity:
        """Say who a token speaks for; raise `BadToken` or `TokenExpired`.

        The signature costs no I/O. One indexed query then finds the session: it has not
        been revoked anywhere, at this moment, and the name is the present one.
        """
        claims = verify(token, await self._keys.find(kid_of(token)))
        holder = await self._store.session_holder(claims.holder.session_id)
        if holder is None or holder.user_id != claims.holder.user_id:
            raise BadToken("The session has ended; sign in again.")
        return Identity(
            user_id=holder.user_id,
            player_id=holder.player_id,
            session_id=holder.session_id,
            display_name=holder.display_name,
            expires_at=claims.expires_at,
        )

    async def new_guest(self, display_name: str | None) -> Tokens:
        """Make an account without a password, with its first session."""
        refresh_token = secrets.token_urlsafe(32)
        session_id = SessionId(new_id())
        for _ in range(NAME_DRAWS_MAX):
            guest = _guest(coin(secrets.randbits(NUMBER_BITS)), display_name)
            try:
                await self._store.add_guest(guest, session_id, self._issued(refresh_token))
            except UsernameTaken:
                continue
            holder = Holder(session_id, guest.user_id, guest.player_id, guest.display_name)
            return self._tokens(holder, refresh_token)
        raise Overloaded

    async def refresh(self, token: str) -> Tokens:
        """Trade a refresh token for new tokens; raise `BadToken` or `TokenExpired`."""
        salt = secrets.token_urlsafe(16)
        successor = successor_of(token, salt)
        spent = token_hash(token)
        holder = await self._store.spend_refresh_token(
            spent, salt=salt, successor=self._issued(successor)
        )
        if holder is not None:
            return self._tokens(holder, successor)
        found = await self._store.find_refresh_token(spent)
        if found is None:
            raise BadToken("This refresh token is not valid here; sign in again.")
        return await self._come_back(token, found)

    async def end(self, session_id: SessionId) -> None:
        """Revoke a session; its connections here are closed after what is being answered now."""
        await self._store.revoke_session(session_id, self._clock.now())
        # The reply to the command that ends its own session goes out before its socket closes.
        asyncio.get_running_loop().call_soon(self._end_sockets, session_id)

    async def account(self, user_id: UserId) -> Account:
        """Read an account; raise `BadToken` if it is gone."""
        account = await self._store.find_account(user_id)
        if account is None:
            raise BadToken("This account is gone; sign in again.")
        return account

    async def rename(self, user_id: UserId, display_name: str) -> Account:
        """Change how somebody is called, from their next connection on."""
        await self._store.rename(user_id, display_name)
        return await self.account(user_id)

    async def _come_back(self, token: str, found: SpentToken) -> Tokens:
        now = self._clock.now()
        verdict = judge(used_at=found.used_at, revoked=found.revoked, now=now)
        if verdict is Verdict.REPEATED and found.salt is not None:
            return self._tokens(found.holder, successor_of(token, found.salt))
        if verdict is Verdict.REUSED:
            await self.end(found.holder.session_id)
        raise _refusal(verdict)

    def _issued(self, token: str) -> IssuedToken:
        now = self._clock.now()
        expires_at = now + timedelta(seconds=self._lifetimes.refresh_s)
        return IssuedToken(token_hash(token), now, expires_at)

    def _tokens(self, holder: Holder, refresh_token: str) -> Tokens:
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


def _guest(names: Names, display_name: str | None) -> Guest:
    return Guest(
        user_id=UserId(new_id()),
        player_id=PlayerId(new_id()),
        username=names.username,
        display_name=display_name or names.display_name,
        avatar_seed=names.avatar_seed,
        color=names.color,
    )


def _refusal(verdict: Verdict) -> PlayhallError:
    if verdict is Verdict.EXPIRED:
        return TokenExpired("The refresh token has expired; sign in again.")
    if verdict is Verdict.REUSED:
        return BadToken("This refresh token was used before, so its session was ended.")
    return BadToken("The session has ended; sign in again.")
