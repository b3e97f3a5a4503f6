-- name: hidden
-- Tables with rows that the login may not see all of; a dump would be short of them.
SELECT c.oid::regclass::text AS name
FROM pg_class c
WHERE c.relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('public', 'playhall_auth', 'auth'))
    AND c.relkind IN ('r', 'p')
    AND NOT (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user)
    AND NOT (
        pg_has_role(current_user, c.relowner, 'USAGE') AND (
            NOT c.relforcerowsecurity OR EXISTS (
                SELECT FROM pg_policy p
                WHERE p.polrelid = c.oid AND p.polname = 'owner'
                    AND EXISTS (SELECT FROM unnest(p.polroles) AS role (oid)
                        WHERE pg_has_role(current_user, role.oid, 'USAGE')))))
ORDER BY 1 LIMIT 1;

-- name: note_backup
-- Note how a backup ended where the nodes look, which show it as they show the jobs that they do
-- themselves. It is due for none of them: somebody else decides when there is a backup.
INSERT INTO maintenance_jobs (job, due_at, started_at, ended_at, duration_s, row_count, last_error)
VALUES ('backup', 'infinity', clock_timestamp() - make_interval(secs => %(seconds)s), clock_timestamp(), %(seconds)s,
    NULL, %(error)s)
ON CONFLICT (job) DO UPDATE SET started_at = excluded.started_at, ended_at = excluded.ended_at,
    duration_s = excluded.duration_s, last_error = excluded.last_error;

-- name: in_the_way
-- Something that is in a database already; a restore wants an empty one.
SELECT format('%I.%I', n.nspname, c.relname) AS name
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1 LIMIT 1;

-- name: roles
-- Make the roles that grants and policies name; they belong to the server, so no dump has them.
DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['anon', 'authenticated', 'service_role', 'playhall_server'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
        END IF;
    END LOOP;
    IF (SELECT rolinherit FROM pg_roles WHERE rolname = 'playhall_server') THEN
        ALTER ROLE playhall_server NOINHERIT;  -- before it is granted anything
    END IF;
    IF NOT pg_has_role('playhall_server', 'anon', 'MEMBER') THEN
        GRANT anon TO playhall_server;
    END IF;
    IF NOT pg_has_role('playhall_server', 'authenticated', 'MEMBER') THEN
        GRANT authenticated TO playhall_server;
    END IF;
END
$$;

-- name: is_role
-- Say whether there is a role of this name.
SELECT FROM pg_roles WHERE rolname = %s;

-- name: take_over
-- Make the owner's policies those of whoever restored, and close again what is closed per database.
DO $$
DECLARE
    secured regclass;
BEGIN
    FOR secured IN SELECT polrelid FROM pg_policy WHERE polname = 'owner' LOOP
        EXECUTE format('ALTER POLICY owner ON %s TO CURRENT_USER', secured);
    END LOOP;
    IF to_regprocedure('playhall_auth.harden()') IS NOT NULL THEN
        PERFORM playhall_auth.harden();
    END IF;
END
$$;

-- name: has_archives
-- Say whether the schema knows archived games.
SELECT to_regclass('game_archives') IS NOT NULL;

-- name: archived
-- Count the games whose logs are in the object store alone.
SELECT count(*) FROM game_archives WHERE released_at IS NOT NULL;

-- name: contents
-- Count what a database of Playhall is mainly about.
SELECT (SELECT count(*) FROM auth.users) AS accounts, (SELECT count(*) FROM players) AS players,
       (SELECT count(*) FROM games) AS games, (SELECT count(*) FROM game_events) AS events,
       (SELECT count(*) FROM matches) AS matches, (SELECT count(*) FROM files) AS files;
