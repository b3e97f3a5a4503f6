INSERT INTO telemetry_types (event_type, purpose, kept_days) VALUES ('test_step', 'analytics', 30);
INSERT INTO telemetry_schemas (event_type, version, schema) VALUES ('test_step', 1, '{"type": "object"}');
SELECT telemetry_make_days('2026-11-28', '2026-11-30');
INSERT INTO telemetry_events (event_id, account_id, event_type, payload, "timestamp", schema_version)
VALUES ('01a22206-ca00-7000-8000-000000000028', '00000000-0000-4000-8000-000000000001', 'test_step',
        '{"quest": "q"}', '2026-11-28 12:00Z', 1);
INSERT INTO telemetry_dead_letters (account_id, event_id, event_type, payload, "timestamp", is_shared, code, problem)
VALUES ('00000000-0000-4000-8000-000000000001', '01a22206-ca00-7000-8000-000000000029', 'unheard_of', '{}',
        '2026-11-28 12:00Z', false, 'unknown_type', 'no schema');
INSERT INTO telemetry_targets (target) VALUES ('webhook');
INSERT INTO telemetry_forwards (target, account_id, event_ids)
VALUES ('webhook', '00000000-0000-4000-8000-000000000001', '{01a22206-ca00-7000-8000-000000000028}');
INSERT INTO consents (account_id, purpose, is_granted)
VALUES ('00000000-0000-4000-8000-000000000001', 'analytics', true);
