DO $$
BEGIN
    CREATE ROLE supabase_auth_admin NOLOGIN;
EXCEPTION WHEN duplicate_object THEN NULL;
END
$$;
CREATE ROLE {owner} LOGIN;

CREATE SCHEMA auth AUTHORIZATION supabase_auth_admin;
SET ROLE supabase_auth_admin;
CREATE TABLE auth.users (
    instance_id        uuid,
    id                 uuid NOT NULL PRIMARY KEY,
    aud                varchar(255),
    role               varchar(255),
    email              varchar(255),
    encrypted_password varchar(255),
    raw_user_meta_data jsonb,
    created_at         timestamptz,
    updated_at         timestamptz,
    is_anonymous       boolean NOT NULL DEFAULT false
);
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT coalesce(
        nullif(current_setting('request.jwt.claim.sub', true), ''),
        (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')
    )::uuid
$$;
GRANT USAGE ON SCHEMA auth TO anon, authenticated, service_role, {owner};
GRANT ALL ON auth.users TO {owner};
RESET ROLE;

DO $$
BEGIN
    EXECUTE format('GRANT CREATE ON DATABASE %I TO {owner}', current_database());
END
$$;
GRANT ALL ON SCHEMA public TO {owner};
ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public
    GRANT ALL ON TABLES TO anon, authenticated, service_role;
