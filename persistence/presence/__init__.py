"""Which node each player is connected to."""
