"""Which slots are attached to which games, and what games give to a title's slots.

An attachment is over once it was detached or the result was applied; its row stays for a while, as
a game may be completed before it is detached and its event delivered after.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg
import orjson

from persistence.accounts.audit_log import record_entry
from persistence.database import Connection, Database
from persistence.inventory.references import refer, require_assets
from persistence.queries import load_queries
from protocol.ids import PlayerId, UserId
from protocol.slot_games import RULESETS_MAX

SQL: Final = load_queries("slot_games/store")
KEPT_MAX: Final = 20  # attachments of a slot that are over
ATTACHED_MAX: Final = 1000  # slots of the players of one game


class StoredAttachment(NamedTuple):
    """What a slot is attached to: a lobby or a game."""

    attachment_id: str
    slot_id: str
    lobby_id: str | None
    game_id: str | None
    attached_at: datetime


class AttachedSlot(NamedTuple):
    """A slot that the result of a game is for."""

    attachment_id: str
    slot_id: str
    account_id: UserId
    player_id: PlayerId


class StoredRewards(NamedTuple):
    """What a ruleset's games give; `rewards` is parsed JSON."""

    reward_id: str
    ruleset: str
    rewards: list[dict[str, Any]]
    version: int
    updated_at: datetime


class SlotGameStore:
    """Attachments and rewards of games in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, connection: Connection, slot_id: str) -> StoredAttachment | None:
        """Read what a slot is attached to."""
        row = await connection.fetchrow(SQL["read_attachment"], slot_id)
        return None if row is None else StoredAttachment(*row)

    async def attach(
        self,
        connection: Connection,
        account_id: UserId,
        slot_id: str,
        *,
        lobby_id: str | None,
        game_id: str | None,
    ) -> StoredAttachment:
        """Attach a slot that is held, in place of what it was attached to."""
        await self.detach(connection, slot_id)
        await connection.execute(SQL["forget_attachments"], slot_id, KEPT_MAX)
        row = await connection.fetchrow(SQL["attach"], slot_id, account_id, lobby_id, game_id)
        assert row is not None
        return StoredAttachment(*row)

    async def detach(self, connection: Connection, slot_id: str) -> bool:
        """Detach a slot that is held; False if it was attached to nothing."""
        return await connection.fetchval(SQL["detach"], slot_id) is not None

    async def attached(
        self, players: Sequence[PlayerId], game_id: str, lobby_id: str | None, at: datetime
    ) -> list[AttachedSlot]:
        """List the slots of some players that were attached when a game was completed."""
        async with self._database.acquire() as connection:
            values = (list(players), game_id, lobby_id, at, ATTACHED_MAX)
            rows = await connection.fetch(SQL["list_attached"], *values)
        return [AttachedSlot(*row) for row in rows]

    async def list_awaited(
        self,
        players: Collection[PlayerId],
        games: Collection[str],
        lobbies: Collection[str],
    ) -> set[str]:
        """List the games and lobbies of these that slots of some players are attached to."""
        async with self._database.acquire() as connection:
            values = (list(players), list(games), list(lobbies))
            rows = await connection.fetch(SQL["awaited_games"], *values)
        return {each for row in rows for each in row if each is not None}

    async def mark_applied(self, connection: Connection, attachment_id: str, event_id: str) -> bool:
        """Note that a result was applied; False if it was."""
        return await connection.fetchval(SQL["mark_applied"], attachment_id, event_id) is not None

    # ------------------------------------------------------------------ rewards

    async def rewards(
        self, connection: Connection, title: str, ruleset: str
    ) -> StoredRewards | None:
        """Read what a ruleset's games give to the slots of a title."""
        row = await connection.fetchrow(SQL["read_rewards"], title, ruleset)
        return None if row is None else _rewards(row)

    async def all_rewards(self, title: str) -> list[StoredRewards]:
        """List what games give to the slots of a title."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["list_rewards"], title, RULESETS_MAX)
        return [_rewards(row) for row in rows]

    async def put_rewards(
        self, title: str, ruleset: str, rewards: Sequence[dict[str, Any]], *, actor: UserId
    ) -> StoredRewards | None:
        """Set what games give, on record; None beyond the bound.

        Raise `AssetNotFound` and `AssetRetired` for what a reward has.
        """
        async with self._database.transaction() as connection:
            for place, reward in enumerate(rewards):
                await require_assets(connection, reward["bundle"], f"rewards.{place}.bundle")
            values = (title, ruleset, orjson.dumps(rewards), RULESETS_MAX)
            row = await connection.fetchrow(SQL["put_rewards"], *values)
            if row is None:
                return None
            bundles = [reward["bundle"] for reward in rewards]
            await refer(connection, bundles, reward_id=row["reward_id"])
            await record_entry(
                connection,
                actor=actor,
                action="put_game_rewards",
                target=f"{title} {ruleset}",
                after={"rewards": list(rewards), "version": row["version"]},
            )
        return _rewards(row)


def _rewards(row: asyncpg.Record) -> StoredRewards:
    fields = dict(row)
    fields["rewards"] = orjson.loads(fields["rewards"])
    return StoredRewards(**fields)
