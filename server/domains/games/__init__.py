"""Games on this server: deciding moves, keeping logs, telling those who follow.

For: hosting a game (`host`), finding and recovering games (`hosting`, `recovery`), turns
and bots (`turns`), streams to followers (`audience`, `streams`), commands and endpoints.

Promises: the state runs ahead of the disk, but nothing leaves before it is committed; a
command acts once; what a viewer may not know is never encoded for them.

Must not know: any single game's rules, SQL, how lobbies fill.
"""
