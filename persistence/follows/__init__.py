"""Follows, blocks and mutes in PostgreSQL."""
