"""Guests, sessions and identities: what the websocket commands and the HTTP endpoints share."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import NamedTuple, Protocol

from persistence.accounts.metadata import NO_METADATA, Metadata
from persistence.accounts.moderation import Ban, DeactivatedBy
from persistence.accounts.store import (
    Account,
    AccountStore,
    IssuedRefreshToken,
    NewAccount,
    NewSession,
    SessionOwner,
    SessionStatus,
    UsedRefreshToken,
    UsernameTaken,
)
from protocol.accounts import Tokens
from protocol.errors import (
    AccountDeactivated,
    BadToken,
    Banned,
    Overloaded,
    PlayhallError,
    RateLimited,
    TokenExpired,
)
from protocol.ids import PlayerId, SessionId, UserId, new_id
from server.core.clock import Clock, wire_time
from server.core.rate_limits import whole_seconds
from server.domains.people.accounts.keys import (
    SigningKeys,
    TokenClaims,
    TokenVerifier,
    sign_access_token,
)
from server.domains.people.accounts.names import NUMBER_BITS, GuestNames, generate_names
from server.domains.people.accounts.refresh_tokens import (
    RefreshVerdict,
    create_token,
    derive_successor,
    family_hash,
    find_refresh_error,
    token_hash,
)
from server.gateway.session.identity import Identity

# Names are drawn from billions, so a second draw is rare and a third one hardly ever.
NAME_DRAWS_MAX = 5


class TokenLifetimes(NamedTuple):
    """How long tokens are good for, in seconds."""

    access_s: int
    refresh_s: int


class IssuedSession(NamedTuple):
    """A session to be stored, and its refresh token in the clear, for the client alone."""

    session: NewSession
    refresh_token: str


class TokenIssuer:
    """Makes what a client keeps."""

    def __init__(self, *, keys: SigningKeys, clock: Clock, lifetimes: TokenLifetimes) -> None:
        self._keys = keys
        self._clock = clock
        self._lifetimes = lifetimes

    def new_session(self, method: str) -> IssuedSession:
        """Make a session that was signed in to with this method."""
        token = create_token()
        return IssuedSession(
            NewSession(SessionId(new_id()), self.issue_refresh_token(token), method), token
        )

    def issue_refresh_token(self, token: str) -> IssuedRefreshToken:
        """Write down a refresh token that is handed out now."""
        now = self._clock.now()
        expires_at = now + timedelta(seconds=self._lifetimes.refresh_s)
        family = family_hash(token)
        assert family is not None
        return IssuedRefreshToken(token_hash(token), now, expires_at, family)

    def make_tokens(self, holder: SessionOwner, refresh_token: str) -> Tokens:
        """Write what the client keeps."""
        lifetime_s = self._lifetimes.access_s
        access_token = sign_access_token(
            holder, self._keys.newest, now=self._clock.now(), lifetime_s=lifetime_s
        )
        return Tokens(
            access_token=access_token,
            expires_in=lifetime_s,
            refresh_token=refresh_token,
            user_id=holder.user_id,
            player_id=holder.player_id,
            display_name=holder.display_name,
        )

    async def add_person(
        self,
        add: Callable[[NewAccount, NewSession], Awaitable[None]],
        *,
        method: str,
        display_name: str | None,
    ) -> Tokens:
        """Draw a name for somebody new until `add` finds that nobody has it."""
        session, refresh_token = self.new_session(method)

        async def add_with_session(guest: NewAccount) -> None:
            await add(guest, session)

        guest = await add_named(add_with_session, display_name=display_name)
        who = (session.session_id, guest.user_id, guest.player_id, guest.display_name)
        return self.make_tokens(SessionOwner(*who), refresh_token)


async def add_named(
    add: Callable[[NewAccount], Awaitable[None]],
    *,
    display_name: str | None,
    user_id: UserId | None = None,
) -> NewAccount:
    """Draw a name for somebody new until `add` finds that nobody has it; raise `Overloaded`."""
    for _ in range(NAME_DRAWS_MAX):
        names = generate_names(secrets.randbits(NUMBER_BITS))
        account = draft_account(names, display_name, user_id=user_id)
        try:
            await add(account)
        except UsernameTaken:
            continue
        return account
    raise Overloaded


class ActivityChanged(Protocol):
    """Publishes that an account was deactivated or reactivated."""

    def __call__(self, user_id: UserId, *, is_active: bool) -> None:
        """Publish it; that must be committed."""


def require_not_banned(ban: Ban | None) -> None:
    """Raise `Banned`, with the reason and the end, if there is a ban."""
    if ban is None:
        return
    until = f"until {wire_time(ban.ends_at)}" if ban.ends_at else "for good"
    raise Banned(f"This account is banned {until}: {ban.reason}")


def require_active(deactivated_by: DeactivatedBy | None) -> None:
    """Raise `AccountDeactivated` unless an account is active."""
    if deactivated_by == "staff":
        raise AccountDeactivated(
            "The operators of this server deactivated the account; only they can reactivate it."
        )
    if deactivated_by is not None:
        raise AccountDeactivated


def draft_account(
    names: GuestNames, display_name: str | None, *, user_id: UserId | None = None
) -> NewAccount:
    """Write down somebody new."""
    return NewAccount(
        user_id=user_id or UserId(new_id()),
        player_id=PlayerId(new_id()),
        username=names.username,
        display_name=display_name or names.display_name,
        avatar_seed=names.avatar_seed,
        color=names.color,
    )


class Accounts:
    """Everybody who signed in.

    `revoked` publishes that a session was ended, `activity_changed` that an account was deactivated
    or reactivated by its owner.
    """

    def __init__(
        self,
        *,
        store: AccountStore,
        keys: SigningKeys,
        clock: Clock,
        lifetimes: TokenLifetimes,
        revoked: Callable[[SessionId], None],
        activity_changed: ActivityChanged | None = None,
    ) -> None:
        self._store = store
        self._activity_changed = activity_changed
        self._tokens = TokenVerifier(keys, clock)
        self._clock = clock
        self._revoked = revoked
        self.issuer = TokenIssuer(keys=keys, clock=clock, lifetimes=lifetimes)

    async def authenticate(self, token: str) -> Identity:
        """Say who a token speaks for.

        Raises `BadToken`, `TokenExpired`, `Banned` or `AccountDeactivated`.

        The signature costs no I/O and is checked once. One indexed query then finds the session:
        it has not been ended anywhere, at this moment, and the name and the roles are the present
        ones.
        """
        claims, status = await self._verify(token)
        require_active(status.deactivated_by)
        return Identity(
            user_id=status.holder.user_id,
            player_id=status.holder.player_id,
            session_id=status.holder.session_id,
            display_name=status.holder.display_name,
            expires_at=claims.expires_at,
            roles=status.roles,
        )

    async def _verify(self, token: str) -> tuple[TokenClaims, SessionStatus]:
        claims = await self._tokens.verify(token)
        status = await self._store.read_session_status(claims.holder.session_id)
        if status is None or status.holder.user_id != claims.holder.user_id:
            raise BadToken("The session has ended; sign in again.")
        require_not_banned(status.ban)
        if status.is_ended:
            raise BadToken("The session has ended; sign in again.")
        return claims, status

    async def deactivate(self, user_id: UserId) -> None:
        """Deactivate an account for its owner: its sessions last, but are refused meanwhile."""
        await self._store.deactivate_own(user_id)
        if self._activity_changed is not None:
            self._activity_changed(user_id, is_active=False)

    async def reactivate(self, token: str) -> UserId:
        """Reactivate the account of an access token, whose owner deactivated it.

        Raises what `authenticate` raises.
        """
        _, status = await self._verify(token)
        user_id = status.holder.user_id
        await self.require_active(user_id, reactivate=True)
        return user_id

    async def require_active(self, user_id: UserId, *, reactivate: bool) -> None:
        """Raise `AccountDeactivated`, unless its owner has proved themselves and wants it back.

        Of accounts that were merged, both must be active.
        """
        if (
            reactivate
            and await self._store.reactivate_own(user_id)
            and self._activity_changed is not None
        ):
            self._activity_changed(user_id, is_active=True)
        require_active(await self._store.find_deactivation(user_id))

    async def create_guest(
        self, display_name: str | None, *, metadata: Metadata = NO_METADATA
    ) -> Tokens:
        """Make an account without a password, with its first session."""
        add = partial(self._store.add_guest, metadata=metadata)
        return await self.issuer.add_person(add, method="guest", display_name=display_name)

    async def open_session(
        self, user_id: UserId, *, method: str, reactivate: bool = False
    ) -> Tokens:
        """Open a session for somebody who has proved who they are.

        Raises `Banned`, or `AccountDeactivated` unless it is to be reactivated and may be.
        """
        session, refresh_token = self.issuer.new_session(method)
        if reactivate:
            await self.require_active(user_id, reactivate=True)
        holder = await self._store.open_session(user_id, session)
        if holder is None:
            require_not_banned(await self._store.find_active_ban(user_id))
            require_active(await self._store.find_deactivation(user_id))
            raise BadToken("This account no longer exists.")
        return self.issuer.make_tokens(holder, refresh_token)

    async def refresh(self, token: str, *, reactivate: bool = False) -> Tokens:
        """Exchange a refresh token for new tokens.

        Raises `BadToken`, `TokenExpired`, `Banned`, `AccountDeactivated`, or `RateLimited` where
        that is done too often. What is refused since the account is not active, is not spent.
        """
        if reactivate:
            await self._reactivate_by_refresh_token(token)
        salt = secrets.token_urlsafe(16)
        successor = derive_successor(token, salt)
        spent = token_hash(token)
        holder = await self._store.use_refresh_token(
            spent, salt=salt, successor=self.issuer.issue_refresh_token(successor)
        )
        if holder is not None:
            return self.issuer.make_tokens(holder, successor)
        found = await self._store.find_refresh_token(spent)
        if found is None:
            await self._end_family(token)
            raise BadToken("This refresh token is not valid on this server; sign in again.")
        require_not_banned(await self._store.find_active_ban(found.holder.user_id))
        if found.used_at is None and not found.is_ended:
            require_active(await self._store.find_deactivation(found.holder.user_id))
        return await self._come_back(token, found)

    async def end_session(self, session_id: SessionId) -> None:
        """End a session; its connections here are closed after what is being answered now."""
        await self._store.end_session(session_id)
        # The reply to the command that ends its own session goes out before its socket closes.
        asyncio.get_running_loop().call_soon(self._revoked, session_id)

    async def read_account(self, user_id: UserId) -> Account:
        """Read an account; raise `BadToken` if it is gone."""
        account = await self._store.find_account(user_id)
        if account is None:
            raise BadToken("This account no longer exists; sign in again.")
        return account

    async def _reactivate_by_refresh_token(self, token: str) -> None:
        """Reactivate the account of a refresh token that is good still, and only of such a one."""
        found = await self._store.find_refresh_token(token_hash(token))
        is_good = found is not None and found.used_at is None and not found.is_ended
        if found is not None and is_good and found.expires_at > self._clock.now():
            await self.require_active(found.holder.user_id, reactivate=True)

    async def _come_back(self, token: str, found: UsedRefreshToken) -> Tokens:
        successor = None if found.salt is None else derive_successor(token, found.salt)
        verdict = find_refresh_error(
            used_at=found.used_at,
            is_ended=found.is_ended,
            is_successor_used=successor is not None and await self._is_used(successor),
            expires_at=found.expires_at,
            now=self._clock.now(),
        )
        if verdict is RefreshVerdict.REPEATED and successor is not None:
            require_active(await self._store.find_deactivation(found.holder.user_id))
            return self.issuer.make_tokens(found.holder, successor)
        if verdict is RefreshVerdict.REUSED:
            await self.end_session(found.holder.session_id)
        if verdict is RefreshVerdict.TOO_OFTEN:
            raise self._too_often(found)
        raise _refusal(verdict)

    async def _end_family(self, token: str) -> None:
        """End the session that a token is of which was used so long ago that it is forgotten."""
        family = family_hash(token)
        session_id = None if family is None else await self._store.find_session_by_family(family)
        if session_id is not None:
            await self.end_session(session_id)
            raise _refusal(RefreshVerdict.REUSED)

    def _too_often(self, found: UsedRefreshToken) -> RateLimited:
        free_at = found.free_at or self._clock.now()
        wait_s = max(0.0, (free_at - self._clock.now()).total_seconds())
        return RateLimited(
            f"Too many refreshes in this session; try again in {whole_seconds(wait_s)} s.",
            retry_after_s=wait_s,
        )

    async def _is_used(self, token: str) -> bool:
        found = await self._store.find_refresh_token(token_hash(token))
        return found is not None and found.used_at is not None


def _refusal(verdict: RefreshVerdict) -> PlayhallError:
    if verdict is RefreshVerdict.EXPIRED:
        return TokenExpired("The refresh token has expired; sign in again.")
    if verdict is RefreshVerdict.REUSED:
        return BadToken("This refresh token was already used, so its session was ended.")
    return BadToken("The session has ended; sign in again.")
