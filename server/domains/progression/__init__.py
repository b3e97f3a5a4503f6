"""Progression: what belongs to a player beyond a single game."""
