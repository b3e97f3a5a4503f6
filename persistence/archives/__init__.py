"""Logs of finished games in the object store."""
