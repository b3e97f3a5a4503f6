"""The use cases: attach a slot to a game, and apply its result.

A result is applied in one transaction: the attachment is marked, the reward is granted, and the
devices are notified. The grant's key is the event's, so that neither a second delivery nor a second
slot of the account brings it again.
"""

from collections.abc import Sequence
from typing import Final

from persistence.database import Connection, Database
from persistence.rls import Requester, RlsDatabase
from persistence.saves.changes import ChangeRow
from persistence.slot_games.store import (
    AttachedSlot,
    SlotGameStore,
    StoredAttachment,
    StoredRewards,
)
from protocol import slot_games as wire
from protocol.domain_events import GameCompleted
from protocol.errors import PlayhallError
from protocol.ids import UserId
from protocol.inventory import AssetNotFound, AssetRetired, Bundle, GainRefused, HoldingFull
from protocol.saves import SaveSlotNotFound
from server.core.event_delivery import EventDelivery
from server.domains.interfaces import Economy, ProgressStream, SaveSlot, SaveSlots
from server.domains.progression.slot_games.rules import (
    SlotGameOutcome,
    find_reward,
    slot_game_outcome,
)

# Why a reward is not given, however often it is tried.
REFUSED: Final = (AssetNotFound, AssetRetired, GainRefused, HoldingFull)


class SlotGameService:
    """What people and editors do with games of slots, and what games do."""

    def __init__(
        self,
        *,
        database: Database,
        rls: RlsDatabase,
        store: SlotGameStore,
        slots: SaveSlots,
        stream: ProgressStream,
        economy: Economy,
    ) -> None:
        self._database = database
        self._rls = rls
        self._store = store
        self._slots = slots
        self._stream = stream
        self._economy = economy
        self.applied = 0

    # ------------------------------------------------------------------ people

    async def attach(
        self, who: Requester, slot_id: str, asked: wire.SlotGameRequest
    ) -> StoredAttachment:
        """Attach a slot to a lobby or a game; a repeat changes nothing."""
        async with self._database.transaction() as connection:
            await self._slots.lock(connection, who.user_id, slot_id)
            present = await self._store.read(connection, slot_id)
            wanted = (asked.lobby_id, asked.game_id)
            if present is not None and (present.lobby_id, present.game_id) == wanted:
                return present
            return await self._store.attach(
                connection, who.user_id, slot_id, lobby_id=asked.lobby_id, game_id=asked.game_id
            )

    async def read(self, who: Requester, slot_id: str) -> StoredAttachment:
        """Read what a slot is attached to; raise `NoSlotGame`."""
        async with self._rls.as_user(who) as connection:
            await self._slots.read(connection, who.user_id, slot_id)
            present = await self._store.read(connection, slot_id)
        if present is None:
            raise wire.NoSlotGame
        return present

    async def detach(self, who: Requester, slot_id: str) -> None:
        """Detach a slot; a repeat changes nothing."""
        async with self._database.transaction() as connection:
            await self._slots.lock(connection, who.user_id, slot_id)
            await self._store.detach(connection, slot_id)

    # ------------------------------------------------------------------ editors

    async def list_rewards(self, title: str) -> list[StoredRewards]:
        """List what games give to the slots of a title."""
        return await self._store.all_rewards(title)

    async def put_rewards(
        self, title: str, ruleset: str, asked: wire.GameRewardsRequest, *, actor: UserId
    ) -> StoredRewards:
        """Set what a ruleset's games give to the slots of a title."""
        rewards = asked.model_dump()["rewards"]
        stored = await self._store.put_rewards(title, ruleset, rewards, actor=actor)
        if stored is None:
            raise wire.TooManyGameRewards
        return stored

    # ------------------------------------------------------------------ games

    async def apply_result(self, delivery: EventDelivery) -> None:
        """Apply the result of a game to the slots that are attached to it, once each."""
        event = delivery.event
        assert isinstance(event, GameCompleted)
        seats = {seat.player_id: seat for seat in event.players}
        attached = await self._store.attached(
            list(seats), event.game_id, event.lobby_id, delivery.occurred_at
        )
        for each in attached:
            outcome = slot_game_outcome(seats[each.player_id], event.players)
            change = await self._apply_to(each, event, outcome, delivery.event_id)
            if change is not None:
                self.applied += 1
                self._stream.announce(change)

    async def pass_over_games(self, deliveries: Sequence[EventDelivery]) -> list[str]:
        """List the games that no slot is attached to, by the ids of their events."""
        games = {
            each.event_id: each.event
            for each in deliveries
            if isinstance(each.event, GameCompleted)
        }
        awaited = await self._store.list_awaited(
            {seat.player_id for event in games.values() for seat in event.players},
            {event.game_id for event in games.values()},
            {event.lobby_id for event in games.values() if event.lobby_id is not None},
        )
        return [
            event_id
            for event_id, event in games.items()
            if event.game_id not in awaited and event.lobby_id not in awaited
        ]

    async def _apply_to(
        self, attached: AttachedSlot, event: GameCompleted, outcome: SlotGameOutcome, event_id: str
    ) -> ChangeRow | None:
        async with self._database.transaction() as connection:
            try:
                slot = await self._slots.lock(connection, attached.account_id, attached.slot_id)
            except SaveSlotNotFound:  # deleted meanwhile: there is nothing to give it to
                return None
            if not await self._store.mark_applied(connection, attached.attachment_id, event_id):
                return None
            granted: Bundle | None = None
            refused: str | None = None
            reward = await self._reward(connection, slot, event, outcome)
            if reward is not None:
                try:
                    async with connection.transaction():
                        granted = await self._economy.grant(
                            connection,
                            slot.account_id,
                            slot.slot_id,
                            reward,
                            key=f"game:{event_id}",
                            reason=f"game of {event.ruleset}",
                        )
                except REFUSED as error:
                    refused = _code_of(error)
            data = {
                "game_id": event.game_id,
                "ruleset": event.ruleset,
                **outcome._asdict(),
                "granted": None if granted is None else granted.model_dump(),
                "refused": refused,
            }
            return await self._stream.append(
                connection, slot.account_id, "game.result", slot.slot_id, data
            )

    async def _reward(
        self, connection: Connection, slot: SaveSlot, event: GameCompleted, outcome: SlotGameOutcome
    ) -> Bundle | None:
        if event.uncounted is not None:  # as it enters no statistics either
            return None
        stored = await self._store.rewards(connection, slot.title, event.ruleset)
        if stored is None:
            return None
        rewards = [wire.GameReward.model_validate(each) for each in stored.rewards]
        reward = find_reward(outcome, rewards)
        return None if reward is None else reward.bundle


def _code_of(error: PlayhallError) -> str:
    return error.code
