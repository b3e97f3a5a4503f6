"""What a game is created from, as a lobby hands it over."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from protocol.ids import LobbyId, PlayerId


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
