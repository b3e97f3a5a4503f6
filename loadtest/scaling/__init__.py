"""How much a deployment needs: from what one node was measured to take, to ten million players.

`costs` reads what `python -m loadtest.bench` measured and fits what a move, a delivery and a hop
take. `queueing` simulates one node with these costs, seeded, so that a test can compare it with the
rates and times of the same runs. `deployment` adds the costs up for many players. See
docs/explanation/scaling.md.
"""
