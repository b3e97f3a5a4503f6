"""Collaborators of creations as they are stored."""
