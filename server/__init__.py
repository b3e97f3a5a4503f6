"""The server: a listener, the domains, and the rules of games.

For: carrying out what the protocol says, with what persistence stores.

Promises: nothing leaves before it is committed; every task has an owner; every queue is
bounded. `app.py` wires it all and reads like a table of contents.

Must not know: SQL (that is `persistence`), or how a client is written (that is `loadtest`).
"""

import compiled.loader  # noqa: F401 - before anything else: it decides where modules come from
