"""Images as they are stored: which are to be processed, and what they show."""
