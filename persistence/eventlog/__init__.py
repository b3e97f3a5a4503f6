"""The append-only log of game events, its only writer, and its hash chain."""
