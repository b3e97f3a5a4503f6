"""Slots that are attached to games, and what games give, in PostgreSQL."""
