"""Domain events that must not be lost: their names, versions and payloads.

A durable event is written in the transaction that caused it (`persistence/event_outbox.py`) and is
delivered to its listeners at least once, webhooks among them, so names and payloads are part of the
protocol. A payload may gain fields within a version; anything else makes a new version.

Payloads hold ids, never names or addresses. A user's id is in the events `user.…` only, and none of
them says which player belongs to it, so erasing somebody leaves nothing to take out of an event.
"""

from typing import ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict

from protocol.ids import EpochId, GameId, LobbyId, MatchId, PlayerId, UserId


class DurableEvent(BaseModel):
    """Something that happened; fields that a newer version of the server wrote are passed over."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)

    name: ClassVar[str]
    version: ClassVar[int] = 1


class SeatOutcome(BaseModel):
    """How a game went for one seat."""

    model_config = ConfigDict(strict=True, frozen=True)

    player_id: PlayerId
    seat: int
    score: int
    is_winner: bool
    forfeited: bool


class GameCompleted(DurableEvent):
    """A game ended; its summary and its players' statistics are written.

    `winner_id` is null unless exactly one player won. `uncounted` says why it enters no statistics.
    """

    name = "game.completed"

    game_id: GameId
    lobby_id: LobbyId | None
    ruleset: str
    started_at: str | None
    completed_at: str
    winner_id: PlayerId | None
    uncounted: Literal["declared", "solo"] | None
    players: list[SeatOutcome]


class LobbyClosed(DurableEvent):
    """A lobby closed: its game ended, its host closed it, or everybody left.

    `game_id` is the game on the server that was played, `match_id` the session between peers, which
    is in the history if its host reported it.
    """

    name = "lobby.closed"

    lobby_id: LobbyId
    mode: Literal["server", "peer"]
    ruleset: str | None
    game_id: GameId | None
    match_id: MatchId | None


class EpochSettled(DurableEvent):
    """A day of competition has a result; a `number` above 1 takes the place of an earlier one."""

    name = "epoch.settled"

    epoch_id: EpochId
    day: str
    number: int
    events_digest: str


class CreationPublished(DurableEvent):
    """A creation can be found by everybody now; it comes again if it was hidden meanwhile."""

    name = "creation.published"

    creation_id: str


class UserCreated(DurableEvent):
    """Somebody has an account; `method` is what they signed in with first."""

    name = "user.created"

    user_id: UserId
    method: str


class UserErased(DurableEvent):
    """Somebody erased their account: forget what you keep of them."""

    name = "user.erased"

    user_id: UserId


class UserMerged(DurableEvent):
    """An account was merged into another one: what you keep of it belongs to `user_id` now."""

    name = "user.merged"

    user_id: UserId
    merged_user_id: UserId


class UserMergeUndone(DurableEvent):
    """A merge was undone: the accounts are two again, and so is what you keep of them."""

    name = "user.merge_undone"

    user_id: UserId
    merged_user_id: UserId


DURABLE_EVENTS: Final[dict[str, type[DurableEvent]]] = {
    event.name: event
    for event in (
        GameCompleted,
        LobbyClosed,
        EpochSettled,
        CreationPublished,
        UserCreated,
        UserErased,
        UserMerged,
        UserMergeUndone,
    )
}
