"""Saves that are the log of a ruleset: clients send commands, and the server simulates.

For: slots whose title is the name of a ruleset for one player. What the rules refuse does not
happen; the state follows from the log and is written by the server alone.

Promises: a request is carried out once, all of it or nothing; the log can be decided again at any
time, by the version of the rules that it began with; no clock decides, so what was chosen offline
counts as what is chosen online.

Must not know: what the rules are about.
"""
