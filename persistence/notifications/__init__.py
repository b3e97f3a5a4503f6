"""Notifications, fan-out, announcements and digests in PostgreSQL."""
