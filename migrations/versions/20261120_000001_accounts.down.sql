DROP TABLE profiles;
DROP TABLE playhall_auth.signing_keys, playhall_auth.refresh_tokens, playhall_auth.sessions;
DROP SCHEMA playhall_auth;

REVOKE SELECT, INSERT ON auth.users FROM playhall_server;
REVOKE USAGE ON SCHEMA auth FROM playhall_server;
REVOKE USAGE ON SCHEMA public FROM playhall_server;
REVOKE SELECT ON alembic_version FROM playhall_server;

-- Only what we made ourselves: on Supabase schema auth and what is in it stay.
DO $$
BEGIN
    IF obj_description(to_regprocedure('auth.uid()'), 'pg_proc') LIKE 'Playhall:%' THEN
        DROP FUNCTION auth.uid();
    END IF;
    IF obj_description(to_regclass('auth.users'), 'pg_class') LIKE 'Playhall:%' THEN
        DROP TABLE auth.users;
    END IF;
    IF obj_description(to_regnamespace('auth'), 'pg_namespace') LIKE 'Playhall:%' THEN
        DROP SCHEMA auth;
    END IF;
END
$$;

-- The roles stay. They belong to the cluster, where other databases may use them, and
-- cannot log in; after this they may do nothing here.
