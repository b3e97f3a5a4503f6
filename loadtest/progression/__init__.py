"""Devices of players of a single-player game: they play offline, sync, report and fetch content.

For: the scenario `progression`. The devices are those of the client package, with its queue in a
file.

Promises: whatever the server acknowledged is looked for afterwards, in what any player can read:
revisions, one's own data, the manifest, the bytes of packages.

Must not know: how the server stores or decides anything, beyond what its documentation says.
"""
