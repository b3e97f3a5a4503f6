"""The line to a server: what every client needs, whatever it plays.

For: signing in (`web`, `account`), keeping a connection up (`link`, over the websockets in
`wires`), following a game event by event (`following`), moving exactly once (`moves`).

Promises: a followed game's indexes come contiguous, over any number of connections, or
`OutOfOrder` is raised; a move is numbered once and repeated until its fate is known; every
wait and every queue is bounded.

Must not know: rules of games, what a move means, who plays.
"""
