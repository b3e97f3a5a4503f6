INSERT INTO playhall_auth.methods (user_id, kind, lookup, sealed)
SELECT id, 'acme', 'looked up', 'sealed' FROM profiles LIMIT 1;
INSERT INTO account_merges (user_id, merged_user_id, was_anonymous, undo_until)
SELECT min(id::text)::uuid, max(id::text)::uuid, false, now() FROM profiles HAVING count(*) > 1;
INSERT INTO playhall_auth.merge_moves SELECT id, 'wallets', 'user_id', '{"address": "0x0"}' FROM account_merges;
