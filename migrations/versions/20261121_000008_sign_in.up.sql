-- What earlier steps said of these two columns was not so.
COMMENT ON COLUMN playhall_auth.signing_keys.retired_at
    IS 'when it was taken out of use: it neither signs nor verifies any more';
COMMENT ON COLUMN playhall_auth.signing_keys.private_pem
    IS 'PKCS#8 PEM, sealed with a key of the configuration: sealed:…; plain if it is older than that';
COMMENT ON COLUMN playhall_auth.refresh_tokens.successor
    IS 'a random salt: with the token itself, which is not stored, it gives the successor again';

ALTER TABLE playhall_auth.sessions ADD COLUMN method text NOT NULL DEFAULT 'guest'
    CHECK (method IN ('guest', 'email', 'discord'));
CREATE INDEX sessions_revoked_at_idx ON playhall_auth.sessions (revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX refresh_tokens_expires_at_idx ON playhall_auth.refresh_tokens (expires_at);
COMMENT ON COLUMN playhall_auth.sessions.method IS 'what was signed in with';

CREATE TABLE playhall_auth.methods (
    user_id       uuid NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
    kind          text NOT NULL CHECK (kind IN ('email', 'discord')),
    lookup        bytea NOT NULL,
    sealed        bytea NOT NULL,
    password_hash text,
    linked_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, kind),
    UNIQUE (kind, lookup),
    CHECK ((kind = 'email') = (password_hash IS NOT NULL))
);
COMMENT ON TABLE playhall_auth.methods IS 'what accounts sign in with; a guest has none';
COMMENT ON COLUMN playhall_auth.methods.lookup IS 'HMAC of the address or of the id at Discord: finds it, gives nothing away';
COMMENT ON COLUMN playhall_auth.methods.sealed IS 'the address, or the id and name at Discord; AES-GCM, names its key';
COMMENT ON COLUMN playhall_auth.methods.password_hash IS 'argon2id';

CREATE TABLE playhall_auth.codes (
    code_hash  bytea PRIMARY KEY,
    purpose    text NOT NULL CHECK (purpose IN ('email', 'discord')),
    user_id    uuid REFERENCES profiles (id) ON DELETE CASCADE,
    sealed     bytea NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX codes_user_id_idx ON playhall_auth.codes (user_id);
CREATE INDEX codes_expires_at_idx ON playhall_auth.codes (expires_at);
COMMENT ON TABLE playhall_auth.codes IS 'one-time codes, mailed or on a redirect; deleted when used';
COMMENT ON COLUMN playhall_auth.codes.code_hash IS 'the code itself is never stored';
COMMENT ON COLUMN playhall_auth.codes.user_id IS 'the account that a method is linked to; null to sign in or register';
COMMENT ON COLUMN playhall_auth.codes.sealed IS 'what the code proves; AES-GCM, names its key';

CREATE TABLE account_roles (
    user_id    uuid NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
    role       text NOT NULL CHECK (role IN ('moderator', 'admin')),
    granted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, role)
);
COMMENT ON TABLE account_roles IS 'what accounts were made; asked at every authentication';

CREATE TABLE account_bans (
    user_id   uuid PRIMARY KEY REFERENCES profiles (id) ON DELETE CASCADE,
    reason    text NOT NULL CHECK (char_length(reason) BETWEEN 1 AND 500),
    banned_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ends_at   timestamptz
);
CREATE INDEX account_bans_banned_at_idx ON account_bans (banned_at);
COMMENT ON TABLE account_bans IS 'who may not sign in; asked at every authentication';
COMMENT ON COLUMN account_bans.ends_at IS 'null: until it is lifted';

CREATE TABLE audit_log (
    id     bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    actor  text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    before jsonb,
    after  jsonb,
    at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE audit_log IS 'what was done by those with power over others; ids, no names; kept for ever';
COMMENT ON COLUMN audit_log.actor IS 'the account''s id, or `console` for the command line';
COMMENT ON COLUMN audit_log.target IS 'the id of whom or what it was done to';
CREATE TRIGGER audit_log_immutable BEFORE UPDATE OR DELETE ON audit_log
    FOR EACH ROW EXECUTE FUNCTION refuse_change('what was done stays on record');
CREATE TRIGGER audit_log_kept_whole BEFORE TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('what was done stays on record');
ALTER TABLE audit_log ENABLE ALWAYS TRIGGER audit_log_immutable;
ALTER TABLE audit_log ENABLE ALWAYS TRIGGER audit_log_kept_whole;

SELECT playhall_auth.secure(
    'playhall_auth.methods', 'playhall_auth.codes', 'account_roles', 'account_bans', 'audit_log');
REVOKE ALL ON playhall_auth.methods, playhall_auth.codes FROM service_role;
REVOKE UPDATE, DELETE ON audit_log FROM service_role;

GRANT SELECT, INSERT, UPDATE, DELETE ON playhall_auth.methods, account_bans TO playhall_server;
GRANT SELECT, INSERT, DELETE ON playhall_auth.codes, account_roles TO playhall_server;
GRANT SELECT, INSERT ON audit_log TO playhall_server;
GRANT DELETE ON playhall_auth.sessions, playhall_auth.refresh_tokens TO playhall_server;

-- Supabase lets its users be read by the owner of our tables, and by nobody else of ours.
CREATE FUNCTION playhall_auth.is_guest(account uuid) RETURNS boolean LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = ''
BEGIN ATOMIC
    SELECT u.is_anonymous FROM auth.users u WHERE u.id = account;
END;
COMMENT ON FUNCTION playhall_auth.is_guest(uuid) IS 'whether an account has nothing to sign in with';
REVOKE ALL ON FUNCTION playhall_auth.is_guest(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION playhall_auth.is_guest(uuid) TO playhall_server;

-- A guest who links something to sign in with is a guest no more. On Supabase that is its own.
DO $$
BEGIN
    IF obj_description('auth.users'::regclass, 'pg_class') LIKE 'Playhall:%' THEN
        GRANT UPDATE (is_anonymous, updated_at) ON auth.users TO playhall_server;
    END IF;
END
$$;
