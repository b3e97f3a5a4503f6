"""Load tests: what simulated players do, for how long, and what of it is measured.

For: `matches` (whole games), `relay` (messages through games without rules), `idle`
(connections that only show life), `lobby` (lobbies made, joined, listed and left), `epoch`
(a day of competition, and who watches it), `signaling` (pairs of PeerJS peers). Each object is
one share of the load, run by one process (`processes` starts them and adds them up).

Promises: what is measured excludes the ramp-up and the end; everybody who came also leaves.

Must not know: how numbers are shown, the command line.
"""
