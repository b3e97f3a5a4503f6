"""Lobbies as they are stored."""
