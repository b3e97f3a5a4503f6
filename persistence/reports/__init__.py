"""Reports and the moderation queue in PostgreSQL."""
