"""Epochs as they are stored: days, slots, claims, votes, events and settlements."""
