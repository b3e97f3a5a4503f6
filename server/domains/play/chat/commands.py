"""`chat.say`."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from protocol.chat import ChatMessage, Say
from protocol.errors import InvalidField, NotAMember, NotSeated
from protocol.ids import GameId, LobbyId, PlayerId
from server.core.clock import Clock, wire_time
from server.core.rate_limits import Rate, RateLimiter
from server.core.subscriptions import TopicKind
from server.gateway.session.identity import Identity
from server.gateway.session.sessions import CommandRoute, Routes, Session, update_frame

MaySpeakInLobby: TypeAlias = Callable[[LobbyId, PlayerId], Awaitable[bool]]
MaySpeakInGame: TypeAlias = Callable[[GameId, PlayerId], Awaitable[bool]]

RATE: Final = Rate(per_minute=30, burst=5)  # of one player


class ChatCommands:
    """Passes on what is said, to whoever listens to a lobby or a game on any node."""

    def __init__(
        self,
        *,
        lobby_chat: TopicKind[Any],
        game_chat: TopicKind[Any],
        clock: Clock,
        may_speak_in_lobby: MaySpeakInLobby,
        may_speak_in_game: MaySpeakInGame,
    ) -> None:
        self._lobby_chat = lobby_chat
        self._game_chat = game_chat
        self._clock = clock
        self._may_speak_in_lobby = may_speak_in_lobby
        self._may_speak_in_game = may_speak_in_game
        self._limit = RateLimiter("chat", RATE, "You are sending messages too fast")

    def routes(self) -> Routes:
        """Say how the command is carried out."""
        return {Say: CommandRoute(awaited=self._say)}

    async def _say(self, session: "Session", command: Say) -> None:
        await self.say(session.who, command)

    async def say(self, speaker: Identity, command: Say) -> None:
        """Send it to everybody who listens there, or refuse."""
        if (command.lobby_id is None) == (command.game_id is None):
            raise InvalidField("lobby_id: give either `lobby_id` or `game_id`.", field="lobby_id")
        self._limit.require_allowed(speaker.player_id, self._clock.monotonic())
        chat, key = await self._place(speaker.player_id, command)
        message = ChatMessage(
            lobby_id=command.lobby_id,
            game_id=command.game_id,
            player_id=speaker.player_id,
            display_name=speaker.display_name,
            text=command.text,
            at=wire_time(self._clock.now()),
        )
        chat.relay(key, update_frame(message))

    async def _place(self, player_id: PlayerId, command: Say) -> tuple[TopicKind[Any], str]:
        if command.lobby_id is not None:
            if not await self._may_speak_in_lobby(command.lobby_id, player_id):
                raise NotAMember("Only members can chat in a lobby; join it first.")
            return self._lobby_chat, command.lobby_id
        assert command.game_id is not None
        if not await self._may_speak_in_game(command.game_id, player_id):
            raise NotSeated("Send game.resume or game.watch before you chat in a game.")
        return self._game_chat, command.game_id
