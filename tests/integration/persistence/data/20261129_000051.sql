INSERT INTO save_logs (slot_id, account_id, player_id, ruleset, ruleset_version, config, seed, hash)
SELECT slot_id, account_id, account_id, 'lamplighter', 1, '{}', repeat('0', 64), '\x00000000000000000000000000000000'
FROM save_slots WHERE slot_id = '00000000-0000-4000-8000-000000000271';
INSERT INTO save_log_events (slot_id, event_index, type, payload, hash, at)
VALUES ('00000000-0000-4000-8000-000000000271', 0, 'game_created', '{}', '\x00000000000000000000000000000000', now());
INSERT INTO save_log_mutations (slot_id, mutation_id, content_hash, first_index, end_index)
VALUES ('00000000-0000-4000-8000-000000000271', '00000000-0000-4000-8000-000000000511', 'x', 0, 1);
