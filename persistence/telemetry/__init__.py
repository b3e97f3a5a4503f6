"""Telemetry as it is stored: events and schemas, dead letters, consents, forwarding."""
