"""Storage: PostgreSQL, files, and the fan-out of updates on a node.

For: one folder a domain, each store beside its named queries; the log of game events and its
only writer (`eventlog`); the database itself, bundled (`embedded`) or somebody else's
(`database`), and work in it that row level security holds to what a person may do (`rls`).

Promises: SQL lives in `.sql` files; ids are lowercase text and times are aware, wherever
they come from; what is said to be committed is on disk; a failure of the database is one
of the errors in `protocol`, and a database that cannot be trusted is refused at start. A store
decides nothing: it reads what a decision needs under the lock that keeps it true, and calls a
function of the domain, which returns what to write or raises. Of refusals it knows those that are
the database's own: a row that is not there, a constraint, a policy, a trigger.

Must not know: any rule of a game or a domain, any socket, or how people prove who they are.
"""

import compiled.loader  # noqa: F401 - before anything else: it decides where modules come from
