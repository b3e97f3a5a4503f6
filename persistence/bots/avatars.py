"""Bots' avatars as they are stored: generations, moderation, and which one a bot shows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from persistence.accounts.audit_log import record_entry
from persistence.bots.store import Require, lock_bot_access
from persistence.database import Database
from persistence.queries import load_queries
from persistence.rls import Requester, RlsDatabase
from protocol.bots import (
    AvatarNotApproved,
    AvatarNotFound,
    Moderation,
    Provider,
    TooManyAvatars,
)
from protocol.ids import BotId, UserId

SQL = load_queries("bots/avatars")
LISTED_MAX: Final = 100


class AvatarDraft(NamedTuple):
    """What a new avatar is written with."""

    source_provider: Provider
    prompt: str | None
    glb_uri: str
    preview_image_uri: str | None
    manifest_uri: str | None


class StoredAvatar(NamedTuple):
    """An avatar; `prompt` is left out for whom it is not."""

    avatar_id: str
    bot_id: BotId
    generation_index: int
    source_provider: Provider
    prompt: str | None
    glb_uri: str
    preview_image_uri: str | None
    manifest_uri: str | None
    moderation_status: Moderation
    created_at: datetime


class BotAvatarStore:
    """Avatars in PostgreSQL. Anybody may see approved ones; row level security says so."""

    def __init__(self, database: Database, rls: RlsDatabase) -> None:
        self._database = database
        self._rls = rls

    async def add(
        self,
        user_id: UserId,
        bot_id: BotId,
        draft: AvatarDraft,
        require: Require,
        *,
        at_most: int,
    ) -> StoredAvatar:
        """Add the next generation to a bot.

        Raises what `require` raises, or `TooManyAvatars` beyond `at_most`.
        """
        async with self._database.transaction() as connection:
            require(await lock_bot_access(connection, user_id, bot_id))
            row = await connection.fetchrow(SQL["add_avatar"], bot_id, *draft, at_most)
            if row is None:
                raise TooManyAvatars
            return StoredAvatar(**row)

    async def select_avatar(
        self, user_id: UserId, bot_id: BotId, avatar_id: str, require: Require
    ) -> None:
        """Let somebody's active bot show an approved avatar of its own, and note who chose it.

        Raises `AvatarNotFound`, `AvatarNotApproved`, and what `require` raises.
        """
        async with self._database.transaction() as connection:
            if await connection.fetchval(SQL["wear"], bot_id, avatar_id, user_id) is not None:
                return
            require(await lock_bot_access(connection, user_id, bot_id))
            is_its_own = await connection.fetchval(SQL["is_bots_avatar"], bot_id, avatar_id)
        raise AvatarNotApproved if is_its_own else AvatarNotFound

    async def list_bot_avatars(
        self, who: Requester | None, bot_id: BotId, *, sees_all: bool
    ) -> Sequence[StoredAvatar]:
        """List a bot's avatars, the newest generation first.

        Its owner gets all of them, and so does who `sees_all`; others get approved ones.
        """
        if who is not None:
            async with self._database.acquire() as connection:
                if sees_all or await connection.fetchval(SQL["owns_bot"], bot_id, who.user_id):
                    rows = await connection.fetch(SQL["all_avatars"], bot_id, LISTED_MAX)
                    return [StoredAvatar(**row) for row in rows]
        async with self._rls.as_user(who) as connection:
            rows = await connection.fetch(SQL["public_avatars"], bot_id, LISTED_MAX)
            return [StoredAvatar(**row) for row in rows]

    async def list_by_moderation(self, status: Moderation, *, limit: int) -> Sequence[StoredAvatar]:
        """List avatars of all bots with a moderation status, the oldest first."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["avatars_with"], status, limit)
        return [StoredAvatar(**row) for row in rows]

    async def moderate_avatar(
        self, avatar_id: str, status: Moderation, *, actor: str, reason: str
    ) -> StoredAvatar:
        """Say what becomes of an avatar, on record; one that is not approved is taken off.

        Raises `AvatarNotFound`.
        """
        async with self._database.transaction() as connection:
            before = await connection.fetchval(SQL["lock_avatar"], avatar_id)
            if before is None:
                raise AvatarNotFound("There is no avatar with this id.")
            row = await connection.fetchrow(SQL["moderate"], avatar_id, status)
            assert row is not None  # it is locked
            if status != "approved":
                await connection.execute(SQL["take_off"], row["bot_id"], avatar_id)
            await record_entry(
                connection,
                actor=actor,
                action="moderate_avatar",
                target=avatar_id,
                before={"moderation_status": before},
                after={"moderation_status": status, "reason": reason},
            )
            return StoredAvatar(**row)
