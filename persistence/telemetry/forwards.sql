-- name: set_targets
-- Say which targets there are from now on.
INSERT INTO telemetry_targets AS t (target, is_enabled)
SELECT name, name = ANY($1::text[]) FROM unnest(ARRAY['webhook', 'redis']) AS name
ON CONFLICT (target) DO UPDATE SET is_enabled = EXCLUDED.is_enabled
WHERE t.is_enabled <> EXCLUDED.is_enabled;

-- name: claim_target
-- Be the one node that forwards to a target for so many seconds, if something waits and it is time; returns how often it has failed since the last success.
UPDATE telemetry_targets SET lease_until = clock_timestamp() + make_interval(secs => $2)
WHERE target = $1 AND is_enabled AND next_attempt_at <= clock_timestamp()
  AND (lease_until IS NULL OR lease_until < clock_timestamp())
  AND EXISTS (SELECT FROM telemetry_forwards WHERE target = $1)
RETURNING attempts;

-- name: next_forwards
-- Read what waits for a target, oldest first.
SELECT seq, account_id, event_ids, withdrawn, queued_at FROM telemetry_forwards
WHERE target = $1 ORDER BY seq LIMIT $2;

-- name: events_to_forward
-- Read those of some events that are still stored, in the order of their time.
SELECT event_id, account_id, event_type, payload, "timestamp", session, schema_version
FROM telemetry_events WHERE event_id = ANY($1::uuid[]) ORDER BY event_id;

-- name: forwarded
-- Take away what a target has, and go on forwarding to it for so many seconds.
WITH gone AS (DELETE FROM telemetry_forwards WHERE target = $1 AND seq = ANY($2::bigint[]))
UPDATE telemetry_targets
SET attempts = 0, last_error = NULL, lease_until = clock_timestamp() + make_interval(secs => $3)
WHERE target = $1;

-- name: not_forwarded
-- Note that a target failed, and when it is tried again.
UPDATE telemetry_targets
SET attempts = attempts + 1, last_error = $2, lease_until = NULL,
    next_attempt_at = clock_timestamp() + make_interval(secs => $3)
WHERE target = $1;

-- name: release_target
-- Let any node forward to a target.
UPDATE telemetry_targets SET lease_until = NULL WHERE target = $1;

-- name: clear_forwards
-- Give up some of what has waited for longer than so many seconds; says how many batches.
WITH gone AS (
    DELETE FROM telemetry_forwards WHERE seq IN (
        SELECT seq FROM telemetry_forwards
        WHERE queued_at < clock_timestamp() - make_interval(secs => $1)
        ORDER BY queued_at LIMIT $2)
    RETURNING seq)
SELECT count(*) FROM gone;

-- name: count_forwards
-- Count the batches that wait, up to a bound.
SELECT count(*) FROM (SELECT FROM telemetry_forwards LIMIT $1) AS counted;
