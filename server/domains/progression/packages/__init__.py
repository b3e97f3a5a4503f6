"""Content packages: uploaded and released by editors, fetched and verified by clients.

For: drafts and their upload; release, staged rollout, withdrawal and rollback; the manifest that
tells a client what to fetch; bytes that can be resumed; deltas; metadata signed as The Update
Framework specifies.

Promises: bytes are served only after their checksum was verified; what is released never changes;
what is released and what is signed change in one transaction; a client that stays in a staged
rollout's share stays in it while the share grows; no upload and no delta is made on the event loop.

Must not know: what is in a package, except for the table of contents of a ZIP archive; how saves
are stored.
"""
