"""The social platform: companions to talk to, creations to share, and the graph around them."""
