"""Simulated players, the load tester, the benchmarks, the terminal player.

For: playing on a server from outside, with the `playhall` client. `play` is a player at a
terminal, `cli` starts the load tests in `scenarios`, `bench` and `attacks` measure a server of
their own.

Promises: speaks `protocol` only; what is measured is checked.

Must not know: how a server does what it promises.
"""
