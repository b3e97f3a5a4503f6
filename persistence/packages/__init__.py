"""Content packages as they are stored, with their deltas and signed metadata."""
