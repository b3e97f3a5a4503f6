SELECT count(*) FROM telemetry_events WHERE account_id = '00000000-0000-4000-8000-000000000000'
