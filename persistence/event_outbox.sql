-- name: append_event
-- Write an event in the transaction that caused it.
INSERT INTO event_outbox (name, version, payload) VALUES ($1, $2, $3);

-- name: claim_events
-- Take some events that are due, oldest first, for so many seconds. One that another node has just taken is skipped; one whose node died is due again when its time is over.
UPDATE event_outbox o
SET attempts = o.attempts + 1, next_attempt_at = clock_timestamp() + make_interval(secs => $3)
FROM (
    SELECT seq FROM event_outbox
    WHERE done_at IS NULL AND dead_at IS NULL AND next_attempt_at <= clock_timestamp()
      AND name = ANY($1::text[])
    ORDER BY next_attempt_at, seq LIMIT $2
    FOR UPDATE SKIP LOCKED
) due
WHERE o.seq = due.seq
RETURNING o.seq, o.event_id, o.name, o.version, o.payload, o.occurred_at, o.attempts, o.delivered_to;

-- name: finish_events
-- Note that every listener has these events.
UPDATE event_outbox SET done_at = clock_timestamp(), delivered_to = $2, last_error = NULL
WHERE seq = ANY($1::bigint[]) AND done_at IS NULL;

-- name: postpone_event
-- Note who has an event, what went wrong with the others, and when it is tried again, or that it is given up.
UPDATE event_outbox
SET delivered_to = $3, last_error = $4,
    next_attempt_at = clock_timestamp() + make_interval(secs => $5),
    dead_at = CASE WHEN $6::bool THEN clock_timestamp() END
WHERE seq = $1 AND attempts = $2 AND done_at IS NULL;

-- name: release_events
-- Give back events that were taken and not tried; they are due at once.
UPDATE event_outbox SET attempts = attempts - 1, next_attempt_at = clock_timestamp()
WHERE seq = ANY($1::bigint[]) AND done_at IS NULL;

-- name: clear_events
-- Delete some events that everybody has had for so many seconds, or that were given up so many ago; says how many.
WITH gone AS (
    DELETE FROM event_outbox WHERE seq IN (
        SELECT seq FROM event_outbox
        WHERE done_at < clock_timestamp() - make_interval(secs => $1)
           OR dead_at < clock_timestamp() - make_interval(secs => $2)
        LIMIT $3 FOR UPDATE SKIP LOCKED)
    RETURNING seq)
SELECT count(*) FROM gone;

-- name: backlog
-- Count what waits, up to a bound, and what was given up; and say for how long the oldest waits.
SELECT
    (SELECT count(*) FROM (SELECT FROM event_outbox
        WHERE done_at IS NULL AND dead_at IS NULL LIMIT $1) AS waiting) AS pending,
    (SELECT count(*) FROM (SELECT FROM event_outbox WHERE dead_at IS NOT NULL LIMIT $1) AS given_up) AS dead,
    (SELECT coalesce(extract(epoch FROM clock_timestamp() - min(occurred_at)), 0)::float8
        FROM (SELECT occurred_at FROM event_outbox WHERE done_at IS NULL AND dead_at IS NULL
            ORDER BY next_attempt_at, seq LIMIT $1) AS oldest) AS oldest_s;

-- name: list_events
-- List events that wait, or that were given up, oldest first, after one of them.
SELECT seq, event_id, name, occurred_at, attempts, delivered_to, last_error, next_attempt_at, dead_at
FROM event_outbox
WHERE done_at IS NULL AND (dead_at IS NOT NULL) = $1 AND seq > $2
ORDER BY seq LIMIT $3;

-- name: retry_event
-- Have an event that waits or was given up delivered again now, with all its attempts before it.
UPDATE event_outbox SET dead_at = NULL, attempts = 0, next_attempt_at = clock_timestamp()
WHERE event_id = $1 AND done_at IS NULL
RETURNING name;
