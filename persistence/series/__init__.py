"""Rematches and series, in PostgreSQL."""
