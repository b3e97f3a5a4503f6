"""The auditor: shows that what is stored is what was played, and how it was played.

For: checking a game (`verify`), looking at any moment of it (`replay`), counting the
statistics again (`rebuild`); on the database, or on an exported file that stands alone.

Promises: it trusts no stored conclusion, but draws each again from the log; a check that
could not be made is never reported as passed; only `rebuild` writes, and only statistics.

Must not know: any single game's rules, sockets, running hosts.
"""
