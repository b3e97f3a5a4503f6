"""The rooms: what people do here, one folder each.

For: lobbies, games, chat, accounts, records. A room has `rules` (pure decisions),
`handlers` (websocket commands) and `routes` (HTTP endpoints), as far as it needs them.

Promises: a room imports no other room; what it needs of one is a function that
`server/app.py` hands in.

Must not know: sockets' bytes, SQL, how another room works.
"""
