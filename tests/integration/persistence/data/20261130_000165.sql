INSERT INTO playhall_auth.metadata (user_id, user_data) VALUES ('00000000-0000-4000-8000-000000000001', '{"color": "red"}');
INSERT INTO playhall_auth.codes (code_hash, purpose, sealed, expires_at, lookup)
VALUES ('\x16', 'mailed', '\x02', now(), '\x03');
