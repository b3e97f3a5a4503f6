"""The domains: what people do here, one folder each, in groups.

`play` (lobbies, games, chat, signaling, history), `people` (accounts, profiles), `content`
(blueprints, files), `compete` (bots, epochs, blockchain). A file in a domain is named for its role:
`rules` (pure decisions), `service` (use cases), `commands` (websocket), `http` (endpoints), `views`
(what is shown to whom), `jobs` (periodic work), `domain` (puts them together).

A domain imports no other domain: what it needs of one is a function that `server/app.py` passes in,
or `server/competition.py` for bots and epochs. It knows nothing of sockets' bytes, SQL, or how
another domain works.
"""
