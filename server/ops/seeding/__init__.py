"""`playhall seed narrative`: a demonstration story, and simulated players on its branches.

For: trying out saves, quests, inventories, telemetry and content with more than an empty database;
demonstrations, reports and load tests.

Promises: everything is done by the domains' own services, so no state is made that a player could
not have reached; the same seed leads to the same branches; the next run finishes one that was
interrupted, and adds nothing to one that is complete.

Must not know: HTTP, and how tables look.
"""
