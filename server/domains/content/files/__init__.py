"""Files: uploads by signed URLs, public reads, replays.

For: announcing an upload and taking its bytes; serving files with caching and ranges; building
the replays of games, checking those of peers; deleting objects that nothing refers to.

Promises: a URL for an upload is good once, for minutes, for one path, size and type; a file is
there whole or not at all, and is what it says; no upload is ever held in memory; who sees a
file is decided by the database's row level security; every object is deleted with its row.

Must not know: what a file is used for, how a game is played.
"""
