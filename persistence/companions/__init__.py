"""Companions, conversations, answers, memories and what they were used, in PostgreSQL."""
