"""Guests, sessions and identities: what the room's commands and addresses have in common."""

import asyncio
import secrets
from collections.abc import Callable
from math import ceil

from persistence.accounts import Account, AccountStore, SpentToken
from protocol.account import Tokens
from protocol.errors import BadToken, PlayhallError, RateLimited, TokenExpired
from protocol.ids import SessionId, UserId
from server.domains.accounts.keys import Keys
from server.domains.accounts.minting import Lifetimes, Mint, refuse_banned
from server.domains.accounts.rules import (
    Verdict,
    family_hash,
    judge,
    successor_of,
    token_hash,
)
from server.domains.accounts.tokens import kid_of, verify
from server.gateway.identity import Identity
from server.kernel.clock import Clock

__all__ = ["Accounts", "Lifetimes"]


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
        self._end_sockets = end_sockets
        self.mint = Mint(keys=keys, clock=clock, lifetimes=lifetimes)

    async def authenticate(self, token: str) -> Identity:
        """Say who a token speaks for; raise `BadToken`, `TokenExpired` or `Banned`.

        The signature costs no I/O. One indexed query then finds the session: it has not
        been ended anywhere, at this moment, and the name and the roles are the present ones.
        """
        claims = verify(token, await self._keys.find(kid_of(token)))
        standing = await self._store.session_standing(claims.holder.session_id)
        if standing is None or standing.holder.user_id != claims.holder.user_id:
            raise BadToken("The session has ended; sign in again.")
        refuse_banned(standing.ban)
        if standing.is_ended:
            raise BadToken("The session has ended; sign in again.")
        return Identity(
            user_id=standing.holder.user_id,
            player_id=standing.holder.player_id,
            session_id=standing.holder.session_id,
            display_name=standing.holder.display_name,
            expires_at=claims.expires_at,
            roles=standing.roles,
        )

    async def new_guest(self, display_name: str | None) -> Tokens:
        """Make an account without a password, with its first session."""
        return await self.mint.person(
            self._store.add_guest, method="guest", display_name=display_name
        )

    async def open(self, user_id: UserId, *, method: str) -> Tokens:
        """Open a session for somebody who has proved who they are; raise `Banned`."""
        session, refresh_token = self.mint.session(method)
        holder = await self._store.open_session(user_id, session)
        if holder is None:
            refuse_banned(await self._store.active_ban(user_id))
            raise BadToken("This account is gone.")
        return self.mint.tokens(holder, refresh_token)

    async def refresh(self, token: str) -> Tokens:
        """Trade a refresh token for new tokens.

        Raises `BadToken`, `TokenExpired`, `Banned`, or `RateLimited` where that is done too often.
        """
        salt = secrets.token_urlsafe(16)
        successor = successor_of(token, salt)
        spent = token_hash(token)
        holder = await self._store.spend_refresh_token(
            spent, salt=salt, successor=self.mint.issued(successor)
        )
        if holder is not None:
            return self.mint.tokens(holder, successor)
        found = await self._store.find_refresh_token(spent)
        if found is None:
            await self._end_family(token)
            raise BadToken("This refresh token is not valid here; sign in again.")
        refuse_banned(await self._store.active_ban(found.holder.user_id))
        return await self._come_back(token, found)

    async def end(self, session_id: SessionId) -> None:
        """End a session; its connections here are closed after what is being answered now."""
        await self._store.end_session(session_id)
        # The reply to the command that ends its own session goes out before its socket closes.
        asyncio.get_running_loop().call_soon(self._end_sockets, session_id)

    async def account(self, user_id: UserId) -> Account:
        """Read an account; raise `BadToken` if it is gone."""
        account = await self._store.find_account(user_id)
        if account is None:
            raise BadToken("This account is gone; sign in again.")
        return account

    async def _come_back(self, token: str, found: SpentToken) -> Tokens:
        successor = None if found.salt is None else successor_of(token, found.salt)
        verdict = judge(
            used_at=found.used_at,
            is_ended=found.is_ended,
            is_successor_used=successor is not None and await self._is_used(successor),
            expires_at=found.expires_at,
            now=self._clock.now(),
        )
        if verdict is Verdict.REPEATED and successor is not None:
            return self.mint.tokens(found.holder, successor)
        if verdict is Verdict.REUSED:
            await self.end(found.holder.session_id)
        if verdict is Verdict.TOO_OFTEN:
            raise self._too_often(found)
        raise _refusal(verdict)

    async def _end_family(self, token: str) -> None:
        """End the session that a token is of which was used so long ago that it is forgotten."""
        family = family_hash(token)
        session_id = None if family is None else await self._store.session_of_family(family)
        if session_id is not None:
            await self.end(session_id)
            raise _refusal(Verdict.REUSED)

    def _too_often(self, found: SpentToken) -> RateLimited:
        free_at = found.free_at or self._clock.now()
        wait_s = max(0.0, (free_at - self._clock.now()).total_seconds())
        return RateLimited(
            f"Too many refreshes in this session; try again in {ceil(wait_s)} s.",
            retry_after_s=wait_s,
        )

    async def _is_used(self, token: str) -> bool:
        found = await self._store.find_refresh_token(token_hash(token))
        return found is not None and found.used_at is not None


def _refusal(verdict: Verdict) -> PlayhallError:
    if verdict is Verdict.EXPIRED:
        return TokenExpired("The refresh token has expired; sign in again.")
    if verdict is Verdict.REUSED:
        return BadToken("This refresh token was used before, so its session was ended.")
    return BadToken("The session has ended; sign in again.")
