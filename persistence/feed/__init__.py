"""Feeds and search in PostgreSQL."""
