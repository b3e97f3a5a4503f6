"""Periodic work on the database of the social platform."""
