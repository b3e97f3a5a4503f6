"""The console: what an operator does to accounts, keys and epochs from the command line.

For: `playhall accounts` and `playhall keys` (`commands`), `playhall epoch` (`epochs`), and
its `bots` and `voters`, a cast to rehearse a day with (`rehearsal`); the database as they need
it (`roles`).

Promises: the same stores as the server's own addresses, so every act on an account is on
record; no secret is printed but one that was just made.

Must not know: sockets. Nodes hear of what was done here from the database.
"""
