"""Who waits for a match, and the matches that were found, in PostgreSQL."""
