"""Talk in lobbies and games; it is passed on and not kept."""

from typing import Annotated, ClassVar, Literal

from pydantic import StringConstraints

from protocol.envelope import Command, Ok, Update, WireModel
from protocol.ids import WireGameId, WireLobbyId, WirePlayerId
from protocol.limits import TEXT_CHARS_MAX
from protocol.text import TEXT

Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=TEXT_CHARS_MAX),
    TEXT,
]


class Say(Command):
    """Send a chat message to a lobby, or to the players and spectators of a game.

    Give exactly one of `lobby_id` and `game_id`. Of control characters, only the line
    break is allowed; invisible characters are refused.
    """

    reply: ClassVar[type[WireModel]] = Ok
    type: Literal["chat.say"]
    lobby_id: WireLobbyId | None = None
    game_id: WireGameId | None = None
    text: Text


class ChatMessage(Update):
    """A chat message."""

    type: Literal["chat.message"] = "chat.message"
    lobby_id: WireLobbyId | None
    game_id: WireGameId | None
    player_id: WirePlayerId
    display_name: str
    text: str
    at: str


COMMANDS: tuple[type[Command], ...] = (Say,)
UPDATES: tuple[type[Update], ...] = (ChatMessage,)
