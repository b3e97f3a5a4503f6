INSERT INTO save_schemas (title, version, schema) VALUES ('demo', 1, '{"type": "object"}');
INSERT INTO save_slots (slot_id, account_id, title, narrative_state)
VALUES ('00000000-0000-4000-8000-000000000271', '00000000-0000-4000-8000-000000000001', 'demo', '{"a": 1}');
INSERT INTO save_revisions (slot_id, account_id, revision, reason, mutation_id, mutation_hash, state,
                            schema_version, size, checksum)
SELECT slot_id, account_id, 1, 'create', '00000000-0000-4000-8000-000000000272', 'x', narrative_state, 1,
       size, checksum
FROM save_slots WHERE slot_id = '00000000-0000-4000-8000-000000000271';
INSERT INTO save_conflicts (slot_id, account_id, base, branch, paths)
SELECT slot_id, account_id, 1, 1, '{/a}' FROM save_slots
WHERE slot_id = '00000000-0000-4000-8000-000000000271';
INSERT INTO progress_streams (account_id, number) VALUES ('00000000-0000-4000-8000-000000000001', 1)
ON CONFLICT (account_id) DO UPDATE SET number = 1;
INSERT INTO progress_changes (account_id, number, kind, slot_id)
VALUES ('00000000-0000-4000-8000-000000000001', 1, 'save.revision', '00000000-0000-4000-8000-000000000271');
