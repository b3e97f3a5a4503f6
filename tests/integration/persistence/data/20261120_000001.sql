INSERT INTO auth.users (id, email, created_at)
VALUES ('00000000-0000-4000-8000-000000000001', 'ada@example.org', now())
ON CONFLICT DO NOTHING;
INSERT INTO profiles (id, username) VALUES ('00000000-0000-4000-8000-000000000001', 'ada')
ON CONFLICT (id) DO UPDATE SET username = excluded.username;
INSERT INTO playhall_auth.sessions (id, user_id)
VALUES ('00000000-0000-4000-8000-000000000002', '00000000-0000-4000-8000-000000000001');
INSERT INTO playhall_auth.refresh_tokens (token_hash, session_id, expires_at)
VALUES ('\x01', '00000000-0000-4000-8000-000000000002', now());
INSERT INTO playhall_auth.signing_keys (kid, private_pem, public_pem) VALUES ('k1', '-', '-');
