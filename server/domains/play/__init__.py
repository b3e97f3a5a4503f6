"""Where people meet and play: lobbies, games, chat, signaling, and the history of matches."""
