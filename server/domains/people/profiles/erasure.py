"""Erasing a person: the account goes, the log stays, and nobody's game is disturbed."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from persistence.profiles.personal_data import AccountWasMerged, PersonalDataStore
from protocol.errors import BadToken, NotConfirmed, NotFound, SignInAgain
from protocol.ids import PlayerId, UserId
from server.core.clock import Clock
from server.core.events import LocalEventBus, PlayerErased
from server.core.subscriptions import AnnouncedSweep, Subscriptions
from server.gateway.session.identity import Identity

SIGNED_IN_WITHIN: Final = timedelta(minutes=15)
# A transaction's times are from before it commits, so each look goes back this much further.
OVERLAP_S: Final = 20.0

LeaveLobbies = Callable[[PlayerId], Awaitable[None]]


class ErasureService:
    """Erases people; `leave_lobbies` takes a player out of the lobbies that can be left."""

    def __init__(
        self,
        *,
        store: PersonalDataStore,
        subscriptions: Subscriptions,
        clock: Clock,
        leave_lobbies: LeaveLobbies,
        events: LocalEventBus,
    ) -> None:
        self._store = store
        self._clock = clock
        self._leave_lobbies = leave_lobbies
        self._events = events
        self._looked_at = clock.monotonic()
        self._erased = AnnouncedSweep(subscriptions, "erased-people", self.poll)

    async def erase_account(self, who: Identity, confirm: str) -> PlayerId:
        """Erase whoever asks; raise `NotConfirmed`, `SignInAgain`.

        One transaction does it. What follows would happen by itself if this node died now:
        connections are closed at the next look, and who has none leaves their lobbies.
        """
        await self._require_proof(who, confirm)
        try:
            await self._store.erase(who.user_id)
        except AccountWasMerged:
            raise BadToken("This account was merged into another one; sign in again.") from None
        await self._after_erasing(who.player_id)
        return who.player_id

    async def erase_user(self, user_id: UserId, *, actor: str) -> None:
        """Erase an account for those who run the server, on record; raise `NotFound`."""
        try:
            player_id = await self._store.erase(user_id, actor=actor)
        except AccountWasMerged:
            raise NotFound("This account was merged into another one; erase that.") from None
        if player_id is None:
            raise NotFound("There is no account with this id.")
        await self._after_erasing(player_id)

    async def _after_erasing(self, player_id: PlayerId) -> None:
        self._erased.announce_sweep()
        await self._leave_lobbies(player_id)
        self._events.publish(PlayerErased(player_id))

    async def poll(self) -> None:
        """Publish here who was erased on any node since the last look."""
        looked_at = self._clock.monotonic()
        for player_id in await self._store.read_recently_erased(
            looked_at - self._looked_at + OVERLAP_S
        ):
            self._events.publish(PlayerErased(player_id))
        self._looked_at = looked_at

    async def _require_proof(self, who: Identity, confirm: str) -> None:
        proof = await self._store.read_erasure_proof(who.user_id, who.session_id)
        if proof is None:
            raise BadToken("This account no longer exists.")
        if proof.can_sign_in and (
            proof.signed_in_at is None or proof.signed_in_at < self._clock.now() - SIGNED_IN_WITHIN
        ):
            raise SignInAgain
        if confirm != proof.username:
            raise NotConfirmed(field="confirm")
