"""The console: what an operator does to accounts and keys from the command line.

For: `playhall accounts` and `playhall keys`; `playhall epoch bots` and `voters`, for rehearsals.

Promises: the same stores as the server's own addresses, so every act on an account is on
record; no secret is printed but one that was just made.

Must not know: sockets. Nodes hear of what was done here from the database.
"""
