-- name: tables
-- The tables and views of some schemas on which any of the three roles has a right, their columns
-- with who may read each, and their primary keys.
SELECT n.nspname AS schema, c.relname AS name, c.relkind IN ('v', 'm') AS is_view,
    (SELECT jsonb_agg(jsonb_build_array(
            a.attname, format_type(a.atttypid, a.atttypmod),
            format_type(coalesce(nullif(t.typbasetype, 0), t.oid), -1),
            CASE WHEN a.attidentity = 'd' THEN format('nextval(%L)',
                    pg_get_serial_sequence(format('%I.%I', n.nspname, c.relname), a.attname))
                 WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
            (SELECT coalesce(jsonb_agg(r), '[]') FROM unnest($2::text[]) r
             WHERE has_column_privilege(r, c.oid, a.attnum, 'SELECT')))
        ORDER BY a.attnum)
     FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
     WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
    coalesce((SELECT array_agg(a.attname::text ORDER BY array_position(i.indkey::int2[], a.attnum))
     FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey::int2[])
     WHERE i.indrelid = c.oid AND i.indisprimary), '{}') AS key
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY ($1) AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
    AND EXISTS (
        SELECT FROM unnest($2::text[]) r
        WHERE has_table_privilege(r, c.oid, 'SELECT, INSERT, UPDATE, DELETE')
            OR has_any_column_privilege(r, c.oid, 'SELECT, INSERT, UPDATE'));

-- name: foreign_keys
-- The foreign keys between tables of some schemas, and whether each is unique, so that it connects
-- at most one row with another.
SELECT k.conname AS name, n.nspname AS schema, c.relname AS table_name,
    ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u(num, place)
          JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num
          ORDER BY u.place) AS columns,
    fn.nspname AS target_schema, f.relname AS target_name,
    ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u(num, place)
          JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num
          ORDER BY u.place) AS target_columns,
    EXISTS (
        SELECT FROM pg_index i
        WHERE i.indrelid = k.conrelid AND i.indisunique AND i.indpred IS NULL
            AND i.indnkeyatts = cardinality(k.conkey)
            AND (i.indkey::int2[])[0:i.indnkeyatts - 1] @> k.conkey
            AND (i.indkey::int2[])[0:i.indnkeyatts - 1] <@ k.conkey) AS is_unique
FROM pg_constraint k
    JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_class f ON f.oid = k.confrelid JOIN pg_namespace fn ON fn.oid = f.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND n.nspname = ANY ($1) AND fn.nspname = ANY ($1)
ORDER BY k.conname;

-- name: view_columns
-- Of which table's column each column of a view is, where it is one: its rule says so. A view of a
-- view names that one.
SELECT v.schema, v.name, a.attname::text AS column_name, bn.nspname AS base_schema,
    b.relname AS base_name, ba.attname::text AS base_column
FROM (
    SELECT c.oid, n.nspname AS schema, c.relname AS name, found[1]::int2 AS place,
        found[2] AS shown_as, min(found[3]) AS base, min(found[4]) AS base_place
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_rewrite w ON w.ev_class = c.oid AND w.rulename = '_RETURN',
        regexp_matches(w.ev_action::text,
            ':resno (\d+) :resname (\S+) :ressortgroupref \d+ :resorigtbl (\d+) :resorigcol (\d+)',
            'g') found
    WHERE n.nspname = ANY ($1) AND c.relkind IN ('v', 'm') AND found[3] <> '0'
    GROUP BY c.oid, n.nspname, c.relname, found[1], found[2]
    HAVING count(DISTINCT (found[3], found[4])) = 1) v
    JOIN pg_attribute a ON a.attrelid = v.oid AND a.attnum = v.place AND a.attname = v.shown_as
    JOIN pg_class b ON b.oid = v.base::oid JOIN pg_namespace bn ON bn.oid = b.relnamespace
    JOIN pg_attribute ba ON ba.attrelid = b.oid AND ba.attnum = v.base_place::int2;

-- name: functions
-- The functions of some schemas that any of the roles may call, but for those of extensions and
-- those that only PostgreSQL can call; of the first schema, only those that are listed ('*' for all).
SELECT n.nspname AS schema, p.proname AS name, p.proretset AS is_set, p.provolatile = 'v' AS is_volatile,
    p.prorows = 1 AS rows_one,
    CASE WHEN p.prorettype = 'void'::regtype THEN 'void'
         WHEN t.typtype = 'c' OR p.prorettype = 'record'::regtype THEN 'row'
         ELSE 'scalar' END AS returns,
    rn.nspname AS table_schema, rc.relname AS table_name,
    ((SELECT an.nspname || '.' || ac.relname FROM pg_type at
        JOIN pg_class ac ON ac.oid = at.typrelid JOIN pg_namespace an ON an.oid = ac.relnamespace
      WHERE p.pronargs = 1 AND at.oid = p.proargtypes[0])) AS of_table,
    (SELECT coalesce(jsonb_agg(jsonb_build_array(
            coalesce(p.proargnames[place], ''), format_type(arg, -1),
            place > p.pronargs - p.pronargdefaults, p.provariadic <> 0 AND place = p.pronargs)
        ORDER BY place), '[]')
     FROM (SELECT arg, row_number() OVER (ORDER BY at)::int AS place, at
           FROM (SELECT u.arg, u.at, coalesce(p.proargmodes[u.at], 'i') AS mode
                 FROM unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) WITH ORDINALITY u(arg, at)) x
           WHERE mode IN ('i', 'b', 'v')) y) AS arguments,
    (SELECT coalesce(jsonb_agg(jsonb_build_array(p.proargnames[u.at], format_type(u.arg, -1)) ORDER BY u.at), '[]')
     FROM unnest(p.proallargtypes) WITH ORDINALITY u(arg, at)
     WHERE p.proargmodes[u.at] IN ('t', 'o', 'b')) AS out_columns
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_type t ON t.oid = p.prorettype
    LEFT JOIN pg_class rc ON rc.oid = t.typrelid LEFT JOIN pg_namespace rn ON rn.oid = rc.relnamespace
WHERE n.nspname = ANY ($1) AND p.prokind = 'f'
    AND (n.nspname <> ($1::text[])[1] OR p.proname = ANY ($3) OR '*' = ANY ($3))
    AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype, 'internal'::regtype)
    AND NOT 'internal'::regtype = ANY (p.proargtypes::oid[])
    AND EXISTS (SELECT FROM unnest($2::text[]) r WHERE has_function_privilege(r, p.oid, 'EXECUTE'))
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
ORDER BY p.proname, p.oid;

-- name: types
-- The enumerations and domains of some schemas, which a client may cast to.
SELECT t.typname AS name, format_type(t.oid, NULL) AS written
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE n.nspname = ANY ($1) AND t.typtype IN ('e', 'd');

-- name: may_be_service
-- Whether this connection's login may work as service_role.
SELECT pg_has_role(session_user, 'service_role', 'MEMBER');

-- name: run
-- Carry out a composed statement as a role with claims: a transaction of its own, in one round trip.
SELECT body, page, total, inserted FROM playhall_rest.run($1, $2, $3, $4, $5, $6, $7, $8);
