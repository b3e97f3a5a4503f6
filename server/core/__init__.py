"""The ground that everything runs on: the clock, the ownership of tasks, a node's name.

For: time that tests can move (`clock`), tasks that somebody awaits (`tasks`), what a node is
called (`node_name`), periodic work (`periodic`), hashing off the loop (`passwords`), mail
(`mailer`), and optional dependencies (`extras`).

Promises: no task outlives its owner; cancellation passes through.

Must not know: sockets, storage, games.
"""
