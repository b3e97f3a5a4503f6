"""Tournaments, their entrants and pairings, in PostgreSQL."""
