INSERT INTO playhall_auth.methods (user_id, kind, lookup, sealed)
SELECT id, 'acme', 'looked up', 'sealed' FROM profiles LIMIT 1;
