"""Accounts: who somebody is, and for how long.

For: guests, signing in by email or Discord (or elsewhere: `supabase`), linking one to an
account, sessions and their tokens, roles and bans; `session.*` commands, `/v1/auth`, `/v1/me`.

Promises: a token that was revoked, reused or tampered with is refused; a refresh token is
stored as a hash only and works once; several nodes sign with the same keys.

Must not know: lobbies, games, or what an account is used for.
"""
