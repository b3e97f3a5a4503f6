"""People of a social platform: they publish, read, search, like, comment, follow and block.

For: the scenario `social`.

Promises: whatever the server acknowledged is looked for afterwards, in what any person can read;
and from when a block was acknowledged, nothing that either asks for or is told may be the other's.

Must not know: how the server stores or decides anything, beyond what its documentation says.
"""
