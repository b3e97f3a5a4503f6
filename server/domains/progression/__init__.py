"""Progression: what belongs to games that are played alone, beside the realtime part."""
