COPY telemetry_events (event_id, account_id, event_type, payload, "timestamp", session, schema_version)
FROM STDIN
