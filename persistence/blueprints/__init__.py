"""Blueprints as they are stored."""
