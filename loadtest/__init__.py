"""The client side: a Python client, simulated players, the load tester, the terminal player.

For: whoever plays on a server from outside. `client` is the client to write bots with;
`play` is a player at a terminal; `cli` starts the load tests in `scenarios`.

Promises: speaks `protocol` only; a connection that breaks is taken up again where it broke
off, without a missed or repeated event or move; what is measured is checked.

Must not know: how a server does what it promises.
"""
