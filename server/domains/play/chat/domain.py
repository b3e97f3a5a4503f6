"""Chat: everything that the domain offers."""

from server.domains.contract import Domain
from server.domains.interfaces import GameChat, LobbyChat
from server.domains.play.chat.commands import ChatCommands
from server.domains.services import Services


def build(services: Services) -> Domain:
    """Put the domain together."""
    lobbies, games = services.interfaces.get(LobbyChat), services.interfaces.get(GameChat)
    commands = ChatCommands(
        lobby_chat=lobbies.chat,
        game_chat=games.chat,
        clock=services.clock,
        may_speak_in_lobby=lobbies.may_speak,
        may_speak_in_game=games.may_speak,
    )
    return Domain(name="chat", commands=commands.routes())
