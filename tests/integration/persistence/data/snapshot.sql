WITH ours AS (
    SELECT oid, nspname FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
)
SELECT nspname, relname FROM pg_class JOIN ours ON ours.oid = relnamespace
UNION SELECT nspname, 'column ' || relname || '.' || attname || ' ' || format_type(atttypid, atttypmod)
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid JOIN ours ON ours.oid = relnamespace
    WHERE attnum > 0 AND NOT attisdropped
UNION SELECT nspname, concat_ws(' ', 'kind of column', relname || '.' || attname, nullif(attgenerated, ''),
        CASE WHEN attnotnull THEN 'NOT NULL' END, col_description(attrelid, attnum))
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid JOIN ours ON ours.oid = relnamespace
    WHERE attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'p')
UNION SELECT nspname, 'function ' || proname || ' ' || md5(prosrc) FROM pg_proc JOIN ours ON ours.oid = pronamespace
UNION SELECT nspname, 'type ' || typname FROM pg_type JOIN ours ON ours.oid = typnamespace
    WHERE typtype = 'e'
UNION SELECT nspname, 'trigger ' || relname || '.' || tgname
    FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid JOIN ours ON ours.oid = relnamespace
    WHERE NOT tgisinternal
UNION SELECT nspname, 'constraint ' || relname || '.' || conname || ' ' || pg_get_constraintdef(pg_constraint.oid)
    FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid JOIN ours ON ours.oid = relnamespace
    WHERE contype IN ('c', 'f')
UNION SELECT schemaname, 'policy ' || tablename || '.' || policyname || ' ' || concat_ws(' / ', qual, with_check)
    FROM pg_policies JOIN ours ON ours.nspname = schemaname
UNION SELECT ours.nspname, 'rights ' || coalesce(nspacl::text, '')
    FROM pg_namespace JOIN ours USING (oid)
UNION SELECT 'rights', relname || ' ' || relacl::text
    FROM pg_class JOIN ours ON ours.oid = relnamespace WHERE relacl IS NOT NULL
