"""Everything that can travel over the websocket, collected from the domains' files."""

from protocol import chat, epochlive, game, lobby, peerlobby, session
from protocol.envelope import Command, Update, type_of

_DOMAINS = (session, lobby, peerlobby, game, chat, epochlive)

COMMANDS: dict[str, type[Command]] = {
    type_of(command): command for domain in _DOMAINS for command in domain.COMMANDS
}
UPDATES: dict[str, type[Update]] = {
    type_of(update): update for domain in _DOMAINS for update in domain.UPDATES
}
