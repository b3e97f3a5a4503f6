"""Fan-out of updates to the subscribers of a topic."""
