"""Likes and comments in PostgreSQL."""
