"""Creations in PostgreSQL."""
