"""The logs of saves that are simulated, in PostgreSQL."""
