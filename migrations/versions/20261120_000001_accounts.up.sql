-- Roles belong to the whole cluster, so another database may make them at the same moment.
DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['anon', 'authenticated', 'service_role', 'playhall_server'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END;
        END IF;
    END LOOP;
END
$$;

-- Supabase has schema auth already. What we make ourselves is marked by a comment that
-- begins with 'Playhall:', so that the way back takes away nothing else.
DO $$
BEGIN
    IF to_regnamespace('auth') IS NULL THEN
        CREATE SCHEMA auth;
        COMMENT ON SCHEMA auth IS 'Playhall: accounts, laid out as on Supabase';
    END IF;

    IF to_regclass('auth.users') IS NULL THEN
        CREATE TABLE auth.users (
            id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            email        text,
            is_anonymous boolean NOT NULL DEFAULT false,
            created_at   timestamptz DEFAULT now(),
            updated_at   timestamptz
        );
        COMMENT ON TABLE auth.users IS 'Playhall: accounts; a guest has one too';
        COMMENT ON COLUMN auth.users.is_anonymous IS 'a guest; linking an email keeps the id';
        REVOKE ALL ON auth.users FROM PUBLIC, anon, authenticated, service_role;
    END IF;

    IF to_regprocedure('auth.uid()') IS NULL THEN
        CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE
        RETURN (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid;
        COMMENT ON FUNCTION auth.uid() IS 'Playhall: the account a request speaks for, or null';
    END IF;
END
$$;

CREATE SCHEMA playhall_auth;
COMMENT ON SCHEMA playhall_auth IS 'sign-in of our own; apart, so that it never meets Supabase''s';

CREATE TABLE playhall_auth.sessions (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id    uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);
CREATE INDEX sessions_user_id_idx ON playhall_auth.sessions (user_id);
COMMENT ON TABLE playhall_auth.sessions IS 'one sign-in: the family of refresh tokens that came from it';
COMMENT ON COLUMN playhall_auth.sessions.revoked_at IS 'signed out, or a used refresh token came back';

CREATE TABLE playhall_auth.refresh_tokens (
    token_hash bytea PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES playhall_auth.sessions (id) ON DELETE CASCADE,
    issued_at  timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at    timestamptz,
    successor  text
);
CREATE INDEX refresh_tokens_session_id_idx ON playhall_auth.refresh_tokens (session_id);
COMMENT ON TABLE playhall_auth.refresh_tokens IS 'refresh tokens; each is used once';
COMMENT ON COLUMN playhall_auth.refresh_tokens.token_hash IS 'the token itself is never stored';
COMMENT ON COLUMN playhall_auth.refresh_tokens.used_at IS 'when it was exchanged; null while it is good';
COMMENT ON COLUMN playhall_auth.refresh_tokens.successor
    IS 'what it was exchanged for: given again to a client that repeats the request at once';

CREATE TABLE playhall_auth.signing_keys (
    kid         text PRIMARY KEY,
    private_pem text NOT NULL,
    public_pem  text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    retired_at  timestamptz
);
COMMENT ON TABLE playhall_auth.signing_keys IS 'keys that sign access tokens; made at first start, rotated';
COMMENT ON COLUMN playhall_auth.signing_keys.kid IS 'names the key in a token''s header';
COMMENT ON COLUMN playhall_auth.signing_keys.retired_at IS 'signs no more; still verifies what it signed';

CREATE TABLE profiles (
    id           uuid PRIMARY KEY REFERENCES auth.users (id) ON DELETE CASCADE,
    username     text UNIQUE,
    display_name text,
    xp_total     int8 NOT NULL DEFAULT 0,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT profiles_username_lowercase CHECK (username = lower(username)),
    CONSTRAINT profiles_username_length CHECK (char_length(username) BETWEEN 3 AND 24)
);
COMMENT ON TABLE profiles IS 'what an account shows of itself; same id as auth.users';
COMMENT ON COLUMN profiles.username IS 'unique and lowercase; null until one is chosen';
COMMENT ON COLUMN profiles.display_name IS 'the name as its owner writes it';
COMMENT ON COLUMN profiles.xp_total IS 'meta-progression currency';

REVOKE ALL ON profiles FROM PUBLIC, anon, authenticated, service_role;
REVOKE ALL ON alembic_version FROM PUBLIC, anon, authenticated, service_role;

GRANT USAGE ON SCHEMA auth TO anon, authenticated, service_role, playhall_server;
GRANT USAGE ON SCHEMA public, playhall_auth TO playhall_server;
GRANT SELECT ON alembic_version TO playhall_server;
GRANT SELECT, INSERT ON auth.users TO playhall_server;
GRANT SELECT, INSERT, UPDATE ON profiles TO playhall_server;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA playhall_auth TO playhall_server;
