"""Epochs: a day of competition as a crowd plays and watches it.

For: what watchers are shown, checked as it comes (`sight`), their state from it (`fold`), the
sockets they have (`watching`); bots that claim and people that vote (`acts`, `cast`); the same
once more over HTTP (`audit`); how long changes took to all of them (`spread`).

Promises: every frame of every watcher is compared with what was due to it; no acknowledged act
is forgotten; memory is bounded by the events of a run, not by the watchers times the events.

Must not know: how numbers are shown, the command line.
"""
