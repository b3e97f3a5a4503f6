"""Saves as they are stored: slots, revisions, conflicts, schemas, and changes for devices."""
