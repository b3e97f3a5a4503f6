"""The domains: what people do here, one folder each, in groups.

`play` (lobbies, games, chat, signaling, history), `people` (accounts, profiles), `content`
(blueprints, files), `compete` (bots, epochs, blockchain). A file in a domain is named for its role:
`rules` (pure decisions), `service` (use cases), `commands` (websocket), `http` (endpoints), `views`
(what is shown to whom), `jobs` (periodic work), `settings` (its variables), `domain` (puts them
together).

`contract` says what a domain offers, `services` what it is built from, and `interfaces` what
domains ask of each other: a domain imports no other domain. It knows nothing of sockets' bytes, of
SQL, or of how another domain works.
"""
