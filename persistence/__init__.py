"""Storage: PostgreSQL, files, and the fan-out of updates on a node.

For: one folder a domain, each store beside its named queries; the log of game events and its
only writer (`eventlog`); the database itself, bundled (`embedded`) or somebody else's
(`database`), and work in it that row level security holds to what a person may do (`rls`).

Promises: SQL lives in `.sql` files; ids are lowercase text and times are aware, wherever
they come from; what is said to be committed is on disk; a failure of the database is one
of the errors in `protocol`, and a database that cannot be trusted is refused at start.

Must not know: any game's rules, any socket, or how people prove who they are.
"""
