"""Maintenance: periodic work on the database of the social platform, and what it looks like inside.

For: months made ahead and dropped, old conversations archived, expired notifications cleaned up,
tables analysed and vacuumed; the sizes of tables and the slow queries.

Promises: each job is done by one node at a time, in bounded steps, and goes on where it was when
its node dies; how each went last is in the metrics of every node.

Must not know: who talks to whom, and about what.
"""
