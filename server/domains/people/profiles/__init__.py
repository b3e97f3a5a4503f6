"""Profiles: what people show of themselves, and all that is stored about them.

For: usernames and preferences, `/v1/profiles`, taking one's data along (`/v1/me/export`) and
erasing oneself (`DELETE /v1/me`).

Promises: whose row is changed is decided by the database's row level security; an export holds
every row that names the person and no secret, in bounded memory; an erasure is one transaction,
after which no row names them, and the log is as it was.

Must not know: how people sign in, what lobbies and games are.
"""
