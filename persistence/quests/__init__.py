"""Quests, timed events and reward claims in PostgreSQL."""
