"""Benchmarks: a server of its own on one core, everything else on the other, and a table.

For: `python -m loadtest.bench`. `machine` pins processes and reads what they use, `servers`
starts, kills and starts again, `loads` puts load tests on a server, `recovery` measures what
comes after an interruption, `figures` holds what is promised against what was measured.

Promises: figures are medians of runs in one go; one whose checks failed is shown as failed,
one that was not measured as not measured; nothing is left behind.

Must not know: what is inside the server, which it only runs and talks to.
"""
