"""Ratings of players, and the games that changed them, in PostgreSQL."""
