"""What players achieved, in PostgreSQL."""
