"""Epochs: a day of competition as thousands play and watch it.

For: what watchers are shown, checked as it comes (`stream_check`), and the sockets they have
(`watchers`); bots that claim and people that vote (`actors`); the same once more over HTTP
(`audit`); how long changes took to all of them (`latency`).

Promises: every frame of every watcher is compared with what was due to it; no acknowledged act
is forgotten; memory is bounded by the events of a run, not by the watchers times the events.

Must not know: how numbers are shown, the command line.
"""
