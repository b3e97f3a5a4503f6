-- The roles belong to the whole cluster; other databases of it may use them.
DO $$
DECLARE
    policy record;
    name text;
BEGIN
    FOR policy IN
        SELECT p.polname, p.polrelid::regclass AS "table" FROM pg_policy p
        JOIN pg_class c ON c.oid = p.polrelid
        WHERE c.relnamespace IN ('public'::regnamespace, 'playhall_auth'::regnamespace)
            OR (p.polrelid = 'auth.users'::regclass
                AND obj_description(p.polrelid, 'pg_class') LIKE 'Playhall:%')
    LOOP
        EXECUTE format('DROP POLICY %I ON %s', policy.polname, policy."table");
        EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', policy."table");
        EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', policy."table");
        EXECUTE format('REVOKE ALL ON %s FROM anon, authenticated, service_role', policy."table");
    END LOOP;
END
$$;
DROP FUNCTION may_see_private_game(uuid, uuid), may_see_match(uuid), lobby_for_members(uuid),
    current_player_id(), playhall_auth.secure(regclass[]);
