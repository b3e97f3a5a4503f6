"""A game's row: what a lobby hands over to create it, and what is read back."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from protocol.ids import GameId, LobbyId, PlayerId


class LobbyChanged(Exception):
    """The lobby is no longer as it was read, so no game was made; read it again."""


class NewPlayer(NamedTuple):
    """Who takes a seat; `bot` names the ruleset's bot, if it is one."""

    player_id: PlayerId
    bot: str | None = None


@dataclass(frozen=True, slots=True)
class NewGame:
    """A game to be made of an open lobby as it stood at `lobby_version`.

    Seat `n` of the game belongs to `players[n]`; `seats` is how many the lobby has.
    """

    ruleset: str
    config: dict[str, Any]
    players: tuple[NewPlayer, ...]
    lobby_id: LobbyId
    lobby_version: int
    is_public: bool
    join_code: str | None
    seats: int


# What the column `games.config` holds beside the ruleset's configuration. A ruleset's own
# fields are in lower case, so these cannot be among them; events do not have them.
MIN_PLAYERS: Final = "minPlayers"
MAX_PLAYERS: Final = "maxPlayers"


@dataclass(frozen=True, slots=True)
class GameRow:
    """What a new game is inserted with; `lobby_version` is the one its lobby was read at.

    `players_min` is how many players the ruleset needs, `seats` how many the lobby has.
    """

    id: GameId
    ruleset: str
    ruleset_version: int
    seed: str
    config: dict[str, Any]
    node: str
    created_at: datetime
    players_min: int = 0
    lobby_id: LobbyId | None = None
    lobby_version: int = 0
    is_public: bool = True
    join_code: str | None = None
    seats: int = 0
    taken: int = 0

    def create_parameters(self) -> dict[str, Any]:
        """Give what `create_games` takes of a game, but for its events."""
        return {
            "id": self.id,
            "ruleset": self.ruleset,
            "ruleset_version": self.ruleset_version,
            "seed": self.seed,
            "config": {**self.config, MIN_PLAYERS: self.players_min, MAX_PLAYERS: self.seats},
            "lobby_id": self.lobby_id,
            "lobby_version": self.lobby_version,
            "is_public": self.is_public,
            "join_code": self.join_code,
            "node": self.node,
            "created_at": self.created_at,
            "seats": self.seats,
            "taken": self.taken,
        }


@dataclass(frozen=True, slots=True)
class StoredGame:
    """A game's row as it stands; `seed` is secret until the game is over.

    `config` is the ruleset's, as the first event has it. The bounds on players are None for
    games from before they were stored.
    """

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
    end_reason: str | None = None  # why an operator ended it before its rules did
    players_min: int | None = None
    players_max: int | None = None

    @classmethod
    def parse_columns(cls, fields: dict[str, Any]) -> "StoredGame":
        """Make one of its columns; `config` is parsed JSON."""
        config = dict(fields["config"])
        bounds = config.pop(MIN_PLAYERS, None), config.pop(MAX_PLAYERS, None)
        return cls(**{**fields, "config": config}, players_min=bounds[0], players_max=bounds[1])
