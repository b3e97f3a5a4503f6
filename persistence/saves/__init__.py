"""Saves as they are stored: slots, revisions, conflicts, schemas, and what devices are told."""
