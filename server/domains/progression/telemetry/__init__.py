"""Telemetry: what games report about how they are played, as far as players allow it.

For: `POST /v1/telemetry`, consent (`/v1/me/consents`), schemas and dead letters for admins,
forwarding to a webhook or a Redis stream, and the reports of `/v1/admin/telemetry/reports`.

Promises: an event is stored once, however often it is sent; nothing is stored or forwarded that its
account does not allow at that moment, and what is no longer allowed is deleted in the transaction
of the decision; an event that was accepted reaches every target at least once, unless it is deleted
before or the target fails for days; every queue is bounded.

Must not know: what an event means, except for the reports, which read the types in `builtin.py`.
"""
