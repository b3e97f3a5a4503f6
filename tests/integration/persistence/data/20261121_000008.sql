INSERT INTO playhall_auth.sessions (id, user_id, method)
VALUES (gen_random_uuid(), '00000000-0000-4000-8000-000000000001', 'email');
INSERT INTO playhall_auth.methods (user_id, kind, lookup, sealed, password_hash)
VALUES ('00000000-0000-4000-8000-000000000001', 'email', '\x01', '\x02', '$argon2id$');
INSERT INTO playhall_auth.codes (code_hash, purpose, user_id, sealed, expires_at)
VALUES ('\x01', 'email', '00000000-0000-4000-8000-000000000001', '\x02', now());
INSERT INTO account_roles (user_id, role) VALUES ('00000000-0000-4000-8000-000000000001', 'admin');
INSERT INTO account_bans (user_id, reason) VALUES ('00000000-0000-4000-8000-000000000001', 'spam');
INSERT INTO audit_log (actor, action, target) VALUES ('console', 'ban', 'someone');
