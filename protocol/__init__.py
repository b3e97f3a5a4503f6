"""The language on the wire.

For: the frames, commands, replies, updates and error codes that a client and the
server exchange, and the documents generated from them.

Promises: pure (no I/O, no clock), imports nothing of ours but what decides whether compiled
modules are loaded; every bound on a string, list or number is written here once; what `decode`
returns has been validated.

Must not know: storage, sockets, or how any command is carried out.
"""

import compiled.loader  # noqa: F401 - before anything else: it decides where modules come from
