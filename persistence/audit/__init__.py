"""Reading a game with everything that was derived from it, and correcting statistics."""
