DROP TABLE consents;
DROP FUNCTION withdraw_consent(), number_consent();
DROP TABLE telemetry_forwards, telemetry_targets, telemetry_dead_letters, telemetry_events,
    telemetry_schemas, telemetry_types;
DROP SCHEMA telemetry_days;
DROP FUNCTION telemetry_first_day(), telemetry_drop_days(date), telemetry_make_days(date, date),
    telemetry_day_start(date);
DROP TRIGGER profiles_unenforced ON profiles;
DROP FUNCTION playhall_auth.delete_unenforced();

CREATE OR REPLACE FUNCTION playhall_auth.person_tables()
RETURNS TABLE (name text, condition text, columns text) LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = '' AS $$
    WITH RECURSIVE reached (relation, is_theirs, condition, path) AS (
        SELECT root.relation, true, root.condition, ARRAY[root.relation::oid]
        FROM (VALUES ('auth.users'::regclass, 'id = $1'), ('public.players', 'user_id = $1::text'))
            AS root (relation, condition)
        UNION ALL
        SELECT f.conrelid::regclass, f.confdeltype = 'c',
            format('(%s) IN (SELECT %s FROM %s WHERE %s)',
                playhall_auth.column_list(f.conrelid, f.conkey),
                playhall_auth.column_list(f.confrelid, f.confkey), f.confrelid::regclass, r.condition),
            r.path || f.conrelid
        FROM reached r
        JOIN pg_constraint f ON f.confrelid = r.relation
        JOIN pg_class c ON c.oid = f.conrelid
        WHERE f.contype = 'f' AND f.conparentid = 0 AND f.conrelid <> ALL (r.path) AND r.is_theirs
            AND c.relnamespace IN ('public'::regnamespace, 'playhall_auth'::regnamespace)
            AND (f.confdeltype = 'c'
                OR r.relation IN ('auth.users'::regclass, 'public.profiles', 'public.players'))
    )
    SELECT relation::text, string_agg(DISTINCT condition, ' OR '), (
        SELECT playhall_auth.column_list(relation, array_agg(a.attnum))
        FROM pg_attribute a
        WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
            AND a.atttypid <> 'bytea'::regtype AND a.attname !~ 'hash|password|secret|_token'
            AND coalesce(col_description(relation, a.attnum), '') NOT LIKE 'secret:%')
    FROM reached GROUP BY relation
$$;
DROP FUNCTION playhall_auth.unenforced_references();
