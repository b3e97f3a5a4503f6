-- What the serving login has had carried out since the counters were reset: statements but for the
-- appends of events, of which one serves many games under load, and transactions that were ended.
SELECT coalesce(sum(calls) FILTER (
           WHERE query !~* '^(BEGIN|COMMIT|ROLLBACK|WITH batch)'), 0)::bigint,
       coalesce(sum(calls) FILTER (WHERE query ~* '^(COMMIT|ROLLBACK)'), 0)::bigint
FROM pg_stat_statements JOIN pg_roles r ON r.oid = userid WHERE r.rolname <> 'postgres'
