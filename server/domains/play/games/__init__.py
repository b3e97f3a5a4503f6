"""Games on this server: deciding moves, keeping logs, sending events to those who follow.

For: a game on its owner node (`live_game`), finding and recovering games (`registry`, `recovery`),
turns and bots (`turn_timer`), streams to followers (`subscribers`, `streams`), commands, endpoints.

Promises: the state runs ahead of the disk, but nothing leaves before it is committed; a
command acts once; what a viewer may not know is never encoded for them.

Must not know: any single game's rules, SQL, how lobbies fill.
"""
