-- Small objects of titles, for what needs no table of its own: of an account, or of a game.

CREATE TABLE stored_objects (
    object_id  uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    account_id uuid REFERENCES profiles (id) ON DELETE CASCADE,
    game_id    uuid REFERENCES games (id) ON DELETE CASCADE,
    collection text NOT NULL CHECK (collection ~ '^[a-z0-9][a-z0-9_-]{0,63}$'),
    key        text NOT NULL COLLATE "C" CHECK (key ~ '^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$'),
    value      jsonb NOT NULL CHECK (jsonb_typeof(value) = 'object'),
    version    bigint NOT NULL DEFAULT 1 CHECK (version > 0),
    read_by    text NOT NULL DEFAULT 'owner' CHECK (read_by IN ('public', 'owner', 'server')),
    write_by   text NOT NULL DEFAULT 'owner' CHECK (write_by IN ('owner', 'server')),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (num_nonnulls(account_id, game_id) = 1)
);
CREATE UNIQUE INDEX stored_objects_account_idx ON stored_objects (account_id, collection, key)
    WHERE account_id IS NOT NULL;
CREATE UNIQUE INDEX stored_objects_game_idx ON stored_objects (game_id, collection, key)
    WHERE game_id IS NOT NULL;
COMMENT ON TABLE stored_objects IS 'what titles keep of accounts and games without a table of their own';
COMMENT ON COLUMN stored_objects.read_by IS 'who may read it beside the server: everybody, its owner, nobody';
COMMENT ON COLUMN stored_objects.write_by IS 'who may write it beside the server: its owner, or nobody';
COMMENT ON COLUMN stored_objects.version IS 'goes up by one with each write';

SELECT playhall_auth.secure('stored_objects');
GRANT SELECT, INSERT, UPDATE, DELETE ON stored_objects TO playhall_server;

-- Objects of games are reached through the server alone, which knows who sits in a game.
CREATE POLICY public_readable ON stored_objects FOR SELECT TO anon, authenticated
    USING (account_id IS NOT NULL AND read_by = 'public');
CREATE POLICY own_readable ON stored_objects FOR SELECT TO authenticated
    USING (account_id = (SELECT auth.uid()) AND read_by = 'owner');
CREATE POLICY own_makeable ON stored_objects FOR INSERT TO authenticated
    WITH CHECK (account_id = (SELECT auth.uid()) AND write_by = 'owner' AND version = 1 AND read_by <> 'server');
CREATE POLICY own_writable ON stored_objects FOR UPDATE TO authenticated
    USING (account_id = (SELECT auth.uid()) AND write_by = 'owner')
    WITH CHECK (account_id = (SELECT auth.uid()) AND write_by = 'owner' AND read_by <> 'server');
CREATE POLICY own_deletable ON stored_objects FOR DELETE TO authenticated
    USING (account_id = (SELECT auth.uid()) AND write_by = 'owner');
GRANT SELECT ON stored_objects TO anon;
GRANT SELECT, DELETE ON stored_objects TO authenticated;
GRANT INSERT (account_id, collection, key, value, read_by) ON stored_objects TO authenticated;
GRANT UPDATE (value, read_by) ON stored_objects TO authenticated;

-- Whoever writes, the version goes up by one, so that a conditional write means something.
CREATE FUNCTION stored_object_versions() RETURNS trigger LANGUAGE plpgsql
SET search_path = '' AS $$
BEGIN
    NEW.version := OLD.version + 1;
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION stored_object_versions() IS 'counts the writes of an object';
REVOKE ALL ON FUNCTION stored_object_versions() FROM PUBLIC;
CREATE TRIGGER stored_objects_version BEFORE UPDATE ON stored_objects
    FOR EACH ROW WHEN (OLD.account_id IS NOT DISTINCT FROM NEW.account_id)
    EXECUTE FUNCTION stored_object_versions();
