"""Numbers: what a load test counts and how it is put together.

For: latencies (`histogram`), counts of one process (`tally`), its clock and the window that is
measured (`meter`), promises that were checked (`checks`), what the server says of itself
(`scrape`).

Promises: memory is bounded however long a run is; numbers of several processes add up.

Must not know: sockets, games, how numbers are shown.
"""
