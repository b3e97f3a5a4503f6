-- What an application keeps of an account beside its profile, as Supabase's clients do.
CREATE TABLE playhall_auth.metadata (
    user_id    uuid PRIMARY KEY REFERENCES profiles (id) ON DELETE CASCADE,
    user_data  jsonb NOT NULL DEFAULT '{}',
    app_data   jsonb NOT NULL DEFAULT '{}',
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT metadata_objects CHECK (jsonb_typeof(user_data) = 'object' AND jsonb_typeof(app_data) = 'object'),
    CONSTRAINT metadata_small CHECK (octet_length(user_data::text) <= 16384 AND octet_length(app_data::text) <= 16384)
);
COMMENT ON TABLE playhall_auth.metadata IS 'what an application keeps of an account; no right depends on it';
COMMENT ON COLUMN playhall_auth.metadata.user_data IS 'written by the person, shown as user_metadata';
COMMENT ON COLUMN playhall_auth.metadata.app_data IS 'written with the service key alone, shown as app_metadata';
SELECT playhall_auth.secure('playhall_auth.metadata');
REVOKE ALL ON playhall_auth.metadata FROM service_role;
GRANT SELECT, INSERT, UPDATE, DELETE ON playhall_auth.metadata TO playhall_server;

-- A mail that is asked for again says the same as the one before, which is found by its address.
ALTER TABLE playhall_auth.codes
    ADD COLUMN lookup bytea,
    DROP CONSTRAINT codes_purpose_check,
    ADD CONSTRAINT codes_purpose_check CHECK (purpose IN ('email', 'redirect', 'mailed'));
CREATE INDEX codes_lookup_idx ON playhall_auth.codes (lookup, expires_at) WHERE lookup IS NOT NULL;
COMMENT ON COLUMN playhall_auth.codes.lookup IS 'HMAC of the address that it was asked for with: finds it, gives nothing away';
