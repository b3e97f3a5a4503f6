-- How PostgreSQL wrote its log: flushes and their milliseconds; new segments and their milliseconds.
SELECT coalesce(sum(fsyncs) FILTER (WHERE context = 'normal'), 0)::bigint,
       coalesce(sum(fsync_time) FILTER (WHERE context = 'normal'), 0)::float8,
       coalesce(sum(writes) FILTER (WHERE context = 'init'), 0)::bigint,
       coalesce(sum(write_time + fsync_time) FILTER (WHERE context = 'init'), 0)::float8
FROM pg_stat_io WHERE object = 'wal';
