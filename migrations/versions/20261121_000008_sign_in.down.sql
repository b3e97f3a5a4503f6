DO $$
BEGIN
    IF obj_description('auth.users'::regclass, 'pg_class') LIKE 'Playhall:%' THEN
        REVOKE UPDATE (is_anonymous, updated_at) ON auth.users FROM playhall_server;
    END IF;
END
$$;
REVOKE DELETE ON playhall_auth.sessions, playhall_auth.refresh_tokens FROM playhall_server;
DROP FUNCTION playhall_auth.is_guest(uuid);
DROP TABLE audit_log, account_bans, account_roles, playhall_auth.codes, playhall_auth.methods;
DROP INDEX playhall_auth.sessions_revoked_at_idx, playhall_auth.refresh_tokens_expires_at_idx;
ALTER TABLE playhall_auth.sessions DROP COLUMN method;
