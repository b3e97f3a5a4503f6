"""The rooms: what people do here, one folder each.

For: who people are (accounts, profiles), where they meet and play (lobbies, games, chat,
signaling), what is left of it (records, files), what they make and compete with (blueprints,
bots, epochs), and how the server is doing (operations). A room has `rules` (pure decisions),
`handlers` (websocket commands) and `routes` (HTTP endpoints), as far as it needs them; one of
several parts puts them together in `room`.

Promises: a room imports no other room; what it needs of one is a function that
`server/app.py` hands in, or `server/competition.py` for bots and epochs.

Must not know: sockets' bytes, SQL, how another room works.
"""
