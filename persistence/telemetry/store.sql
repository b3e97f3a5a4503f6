-- name: lock_account
-- Hold an account's profile, so that it is not erased and decides nothing while its events are stored.
SELECT id FROM profiles WHERE id = $1 FOR KEY SHARE;

-- name: decisions
-- Read what an account decided last about each purpose.
SELECT DISTINCT ON (purpose) purpose, is_granted FROM consents
WHERE account_id = $1 ORDER BY purpose, version DESC;

-- name: insert_events
-- Store an account's events; gives the ids of those that were new, and null where all of them were.
WITH stored AS (
    INSERT INTO telemetry_events
        (event_id, account_id, event_type, payload, "timestamp", session, schema_version)
    SELECT e.event_id, $1, e.event_type, e.payload, e.at, e.session, e.version
    FROM unnest($2::text::uuid[], $3::text[], $4::jsonb[], $5::timestamptz[], $6::text[], $7::int[])
        AS e(event_id, event_type, payload, at, session, version)
    ON CONFLICT (event_id) DO NOTHING
    RETURNING event_id)
SELECT CASE WHEN count(*) < cardinality($7) THEN coalesce(array_agg(event_id), '{}') END FROM stored;

-- name: make_days
-- Make the partitions of some days.
SELECT telemetry_make_days($1, $2);

-- name: queue_forwards
-- Have some new events forwarded to every target.
INSERT INTO telemetry_forwards (target, account_id, event_ids)
SELECT target, $1, $2::uuid[] FROM telemetry_targets WHERE is_enabled;

-- name: insert_letters
-- Keep an account's events that no schema fits; each once.
INSERT INTO telemetry_dead_letters (account_id, event_id, event_type, schema_version, payload,
    "timestamp", session, is_shared, code, problem)
SELECT $1, e.event_id, e.event_type, e.version, e.payload, e.at, e.session, $2, e.code, e.problem
FROM unnest($3::uuid[], $4::text[], $5::jsonb[], $6::timestamptz[], $7::text[], $8::int[], $9::text[],
    $10::text[]) AS e(event_id, event_type, payload, at, session, version, code, problem)
ON CONFLICT (account_id, event_id) DO NOTHING;

-- name: count_letters
-- Count the dead letters, up to a bound.
SELECT count(*) FROM (SELECT FROM telemetry_dead_letters LIMIT $1) AS counted;

-- name: list_letters
-- Read dead letters from below a number, newest first.
SELECT letter_id, account_id, event_id, event_type, schema_version, payload, "timestamp", session,
    is_shared, code, problem, received_at
FROM telemetry_dead_letters
WHERE letter_id < $1 AND ($2::text IS NULL OR event_type = $2)
ORDER BY letter_id DESC LIMIT $3;

-- name: letters_to_replay
-- Read dead letters of a type from above a number, oldest first.
SELECT letter_id, account_id, event_id, event_type, schema_version, payload, "timestamp", session,
    is_shared, code, problem, received_at
FROM telemetry_dead_letters
WHERE event_type = $1 AND letter_id > $2
ORDER BY letter_id LIMIT $3;

-- name: delete_letters
-- Delete dead letters that need not be kept any more; returns those that were still there.
DELETE FROM telemetry_dead_letters WHERE letter_id = ANY($1::bigint[]) RETURNING letter_id;

-- name: explain_letters
-- Note why dead letters still fit no schema.
UPDATE telemetry_dead_letters d SET code = n.code, problem = n.problem
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS n(letter_id, code, problem)
WHERE d.letter_id = n.letter_id;

-- name: clear_letters
-- Delete some dead letters that are older than so many seconds; says how many.
WITH gone AS (
    DELETE FROM telemetry_dead_letters WHERE letter_id IN (
        SELECT letter_id FROM telemetry_dead_letters
        WHERE received_at < clock_timestamp() - make_interval(secs => $1)
        ORDER BY received_at LIMIT $2 FOR UPDATE SKIP LOCKED)
    RETURNING letter_id)
SELECT count(*) FROM gone;

-- name: try_lead
-- Be the one node that tends to the partitions, as long as the connection has the lock; false if another is.
SELECT pg_try_advisory_lock(hashtext('playhall: telemetry maintenance'));

-- name: stop_leading
-- Let another node tend to the partitions.
SELECT pg_advisory_unlock(hashtext('playhall: telemetry maintenance'));

-- name: drop_days
-- Drop the partitions of the days before a day; says how many.
SELECT telemetry_drop_days($1);

-- name: first_day
-- Read the oldest day that has a partition.
SELECT telemetry_first_day();

-- name: types_to_clear
-- Read for how long each type is kept, and up to when it was cleared.
SELECT event_type, kept_days, cleared_before FROM telemetry_types ORDER BY event_type;

-- name: clear_type
-- Delete the events of a type within a stretch of time; says how many.
WITH gone AS (
    DELETE FROM telemetry_events WHERE event_id >= $1 AND event_id < $2 AND event_type = $3
    RETURNING event_id)
SELECT count(*) FROM gone;

-- name: cleared
-- Note up to when a type was cleared, unless its retention was changed meanwhile.
UPDATE telemetry_types SET cleared_before = $2
WHERE event_type = $1 AND kept_days = $3;
