"""What quests need of whoever keeps items and currencies; without that, they give none."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from persistence.database import Connection
from protocol.ids import UserId


class Held(NamedTuple):
    """What an account has, by name."""

    items: Mapping[str, int]
    currencies: Mapping[str, int]


class Rewards(Protocol):
    """Gives out items and currencies, and knows who has which."""

    async def grant(
        self,
        connection: Connection,
        account_id: UserId,
        slot_id: str,
        bundle: Mapping[str, Any],
        *,
        key: str,
        reason: str,
    ) -> bool:
        """Give a bundle once for a key, in the caller's transaction; False if it was given."""

    async def holdings(self, connection: Connection, account_id: UserId, slot_id: str) -> Held:
        """Say what somebody has."""
