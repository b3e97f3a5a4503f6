"""Webhooks: durable events, sent to URLs that admins name.

For: `/v1/admin/webhooks`, signing as Standard Webhooks has it, sending, retries, and what is
disabled because it fails.

Promises: an event reaches every webhook that was enabled when it happened at least once, or is in
the list of what was given up; a request goes to a public address only, is signed, bounded in time,
and follows no redirect; secrets are stored sealed and shown once; what admins do is on record.

Must not know: what an event means, or who caused it.
"""
