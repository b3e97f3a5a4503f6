"""Leaderboards of the statistics that rulesets declare, in PostgreSQL."""
