"""Roles and bans: who may do what to whom."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeVar

from persistence.accounts.moderation import (
    AccountDetails,
    AccountFilter,
    Ban,
    ModerationStore,
    NoSuchAccount,
)
from persistence.sealing import Seal
from protocol.errors import Forbidden, NotFound
from protocol.ids import SessionId, UserId
from server.domains.people.accounts.sealed import method_indexes
from server.domains.people.accounts.service import ActivityChanged
from server.gateway.session.identity import ADMINS, MODERATORS, Identity, require_role

Result = TypeVar("Result")


class AccountModeration:
    """What moderators and admins do; `banned` and `activity_changed` publish it."""

    def __init__(
        self,
        *,
        store: ModerationStore,
        seal: Seal,
        banned: Callable[[UserId], None],
        activity_changed: ActivityChanged,
        revoked: Callable[..., None],
    ) -> None:
        self._revoked = revoked
        self._store = store
        self._seal = seal
        self._banned = banned
        self._activity_changed = activity_changed

    async def ban(
        self, who: Identity, user_id: UserId, *, reason: str, ends_at: datetime | None
    ) -> None:
        """Ban somebody; a moderator can ban players only."""
        require_role(who, MODERATORS)
        await self._require_power_over(who, user_id)
        with_account = self._store.ban(user_id, Ban(reason, ends_at), actor=who.user_id)
        await _known(with_account)
        self._banned(user_id)

    async def unban(self, who: Identity, user_id: UserId) -> None:
        """Lift a ban."""
        require_role(who, MODERATORS)
        await self._require_power_over(who, user_id)
        await _known(self._store.unban(user_id, actor=who.user_id))

    async def deactivate(self, who: Identity, user_id: UserId, reason: str) -> None:
        """Deactivate an account that has no role, until an admin reactivates it."""
        require_role(who, ADMINS)
        await self._require_power_over(who, user_id)
        if await self._store.read_roles(user_id):
            raise Forbidden("Staff cannot be deactivated; take their roles away first.")
        await _known(self._store.deactivate(user_id, reason, actor=who.user_id))
        self._activity_changed(user_id, is_active=False)

    async def reactivate(self, who: Identity, user_id: UserId) -> None:
        """Reactivate an account, whoever deactivated it."""
        require_role(who, ADMINS)
        await _known(self._store.reactivate(user_id, actor=who.user_id))
        self._activity_changed(user_id, is_active=True)

    async def set_roles(
        self, who: Identity, user_id: UserId, roles: Sequence[str], reason: str | None = None
    ) -> None:
        """Make somebody exactly this; nobody takes `admin` from themselves."""
        require_role(who, ADMINS)
        if user_id == who.user_id and "admin" not in roles:
            raise Forbidden("You cannot remove your own admin role; ask another admin.")
        await _known(self._store.set_roles(user_id, roles, actor=who.user_id, reason=reason))

    async def end_sessions(
        self, who: Identity, user_id: UserId, session_id: SessionId | None, reason: str
    ) -> int:
        """End a session of somebody, or all of them; says how many."""
        require_role(who, ADMINS)
        ended = await _known(
            self._store.end_sessions(user_id, session_id, reason, actor=who.user_id)
        )
        self._revoked(*ended)
        return len(ended)

    async def find_accounts(
        self, which: AccountFilter, *, after: str | None, limit: int
    ) -> list[AccountDetails]:
        """List some accounts by username, after one of them."""
        if which.text is not None:
            lookups = await find_lookups(self._store, self._seal, which.text)
            which = which._replace(lookups=lookups)
        return await self._store.search_accounts(which, after=after, limit=limit)

    async def read_account(self, user_id: UserId) -> AccountDetails:
        """Read an account; raise `NotFound`."""
        found = await self._store.find_account(user_id)
        if found is None:
            raise NotFound("There is no account with this id.")
        return found

    async def _require_power_over(self, who: Identity, user_id: UserId) -> None:
        if user_id == who.user_id:
            raise Forbidden("You cannot do this to your own account.")
        if "admin" not in who.roles and await self._store.read_roles(user_id):
            raise Forbidden("Only an admin can do this to an account that has a role.")


async def find_lookups(store: ModerationStore, seal: Seal, text: str) -> list[bytes]:
    """Hash a text as an address, and as an id at every provider that somebody signs in with."""
    kinds = {"email", *await store.list_method_kinds()}
    return [index for kind in sorted(kinds) for index in method_indexes(seal, kind, text)]


async def _known(act: Awaitable[Result]) -> Result:
    try:
        return await act
    except NoSuchAccount:
        raise NotFound("There is no account with this id.") from None
