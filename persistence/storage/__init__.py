"""Small objects of players and games in PostgreSQL."""
