-- name: publish
-- Have the changes of these tables noted, and of no others; gives those that cannot be.
SELECT playhall_realtime.publish($1);

-- name: published
-- The published tables, their columns with who may read each, and their primary keys in the order of the columns.
SELECT c.oid::bigint AS relation, n.nspname AS schema, c.relname AS name,
    (SELECT jsonb_agg(jsonb_build_array(a.attname, t.typname,
            (SELECT coalesce(jsonb_agg(r), '[]') FROM unnest($1::text[]) r
             WHERE has_column_privilege(r, c.oid, a.attnum, 'SELECT'))) ORDER BY a.attnum)
     FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
     WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
    ARRAY(SELECT a.attname::text
     FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey::int2[])
     WHERE i.indrelid = c.oid AND i.indisprimary ORDER BY a.attnum) AS key
FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE g.tgfoid = 'playhall_realtime.note_change()'::regprocedure AND g.tgparentid = 0;

-- name: snapshot
-- What is committed by now.
SELECT pg_current_snapshot()::text;

-- name: read_changes
-- Some changes that were committed after one snapshot, up to another one where that is given, in the order of writing and after one of them; and the present snapshot, also where there are none.
SELECT now.snapshot::text, c.seq, c.relation::bigint, c.operation, c.record, c.old_record, c.is_cut, c.changed_at
FROM (SELECT pg_current_snapshot() AS snapshot) now LEFT JOIN LATERAL (
    SELECT * FROM playhall_realtime.changes
    WHERE transaction_id >= pg_snapshot_xmin($1::text::pg_snapshot)
        AND NOT pg_visible_in_snapshot(transaction_id, $1::text::pg_snapshot)
        AND ($2::text IS NULL OR pg_visible_in_snapshot(transaction_id, $2::text::pg_snapshot))
        AND seq > $3
    ORDER BY seq LIMIT $4
) c ON true;

-- name: clear_changes
-- Delete some changes that were made so many seconds ago; says how many.
WITH gone AS (
    DELETE FROM playhall_realtime.changes WHERE seq IN (
        SELECT seq FROM playhall_realtime.changes
        WHERE changed_at < clock_timestamp() - make_interval(secs => $1)
        LIMIT $2)
    RETURNING seq)
SELECT count(*) FROM gone;

-- name: readers
-- Which readers, by their numbers from 1, may read which images of rows, some of which are cut.
SELECT reader, image FROM playhall_realtime.readers($1::bigint::oid, $2::jsonb[], $3, $4, $5, $6);

-- name: canonical
-- Write values of columns, each in an object of its own, as `to_jsonb` writes those of rows.
SELECT playhall_realtime.canonical($1::bigint::oid, $2::jsonb[]);

-- name: channel_rights
-- What somebody may do on a private channel.
SELECT receives_broadcast, sends_broadcast, receives_presence, sends_presence
FROM playhall_realtime.channel_rights($1, $2, $3);
