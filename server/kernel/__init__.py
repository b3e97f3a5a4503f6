"""The ground that everything runs on: the clock and the ownership of tasks.

For: time that tests can move, and tasks that somebody awaits.

Promises: no task outlives its owner; cancellation passes through.

Must not know: sockets, storage, games.
"""
