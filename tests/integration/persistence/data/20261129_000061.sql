-- A key that both accounts of a merge had used.
INSERT INTO ledger_transactions (account_id, key, content_hash, kind, merge_id)
VALUES ('00000000-0000-4000-8000-000000000001', 'quest:first', 'y', 'grant', '00000000-0000-4000-8000-000000000611');
INSERT INTO consents (account_id, purpose, is_granted, source)
VALUES ('00000000-0000-4000-8000-000000000001', 'personalization', false, 'merge');
INSERT INTO playhall_auth.merge_moves
SELECT id, 'public.save_slots', 'account_id', '{"slot_id": "00000000-0000-4000-8000-000000000271"}',
       '{"name": "First", "renamed": "First (2)"}'
FROM account_merges ON CONFLICT DO NOTHING;
