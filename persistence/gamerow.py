"""A game's row, as it is written once and read back."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from protocol.ids import GameId, LobbyId


@dataclass(frozen=True, slots=True)
class GameRow:
    """What a new game is inserted with; `lobby_version` is the one its lobby was read at."""

    id: GameId
    ruleset: str
    ruleset_version: int
    seed: str
    config: dict[str, Any]
    node: str
    created_at: datetime
    lobby_id: LobbyId | None = None
    lobby_version: int = 0
    is_public: bool = True
    join_code: str | None = None
    seats: int = 0
    taken: int = 0

    def columns(self) -> tuple[Any, ...]:
        """Give the parameters of `create_game`."""
        return (
            self.id,
            self.ruleset,
            self.ruleset_version,
            self.seed,
            orjson.dumps(self.config, option=orjson.OPT_SORT_KEYS),
            self.lobby_id,
            self.is_public,
            self.node,
            self.created_at,
        )

    def room(self) -> tuple[Any, ...]:
        """Give the parameters of `list_room`."""
        return self.id, self.lobby_id, self.join_code, self.is_public, self.seats, self.taken


@dataclass(frozen=True, slots=True)
class StoredGame:
    """A game's row as it stands; `seed` is secret until the game is over."""

    id: GameId
    ruleset: str
    ruleset_version: int
    seed: str
    config: dict[str, Any]
    status: str
    lobby_id: LobbyId | None
    is_public: bool
    owner_epoch: int
    next_event_index: int
    quarantined: bool
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
