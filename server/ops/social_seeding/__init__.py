"""`playhall seed social`: people, what they published, and the graph around it, by the million.

For: measuring feeds, search and counters on a database of a realistic size; demonstrations.

Promises: the same seed leads to the same rows, apart from the day that times count from; every
counter equals its rows, and every notification tells of something that is there; the next run
finishes one that was interrupted.

Must not know: HTTP, and how tables look. Unlike `playhall seed narrative`, it writes past the
domains' services, because a service takes a transaction for each like.
"""
