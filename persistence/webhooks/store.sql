-- name: add_endpoint
-- Add a webhook, unless there are as many as there may be.
INSERT INTO webhook_endpoints (endpoint_id, url, description, events, secret)
SELECT $1, $2, $3, $4, $5 WHERE (SELECT count(*) FROM webhook_endpoints) < $6
RETURNING endpoint_id;

-- name: list_endpoints
-- Read every webhook, oldest first.
SELECT endpoint_id, url, description, events, secret, previous_secret, previous_until,
       disabled_at, disabled_reason, failing_since, created_at
FROM webhook_endpoints ORDER BY created_at, endpoint_id;

-- name: lock_endpoint
-- Read a webhook, and let one change at a time concern it.
SELECT endpoint_id, url, description, events, secret, previous_secret, previous_until,
       disabled_at, disabled_reason, failing_since, created_at
FROM webhook_endpoints WHERE endpoint_id = $1 FOR NO KEY UPDATE;

-- name: change_endpoint
-- Write what may change of a webhook. Enabling it forgets how long it has failed.
UPDATE webhook_endpoints SET
    url = $2, description = $3, events = $4,
    disabled_at = CASE WHEN $5::bool THEN NULL ELSE coalesce(disabled_at, clock_timestamp()) END,
    disabled_reason = CASE WHEN $5::bool THEN NULL ELSE coalesce(disabled_reason, 'admin') END,
    failing_since = CASE WHEN $5::bool AND disabled_at IS NOT NULL THEN NULL ELSE failing_since END
WHERE endpoint_id = $1;

-- name: delete_endpoint
-- Delete a webhook with its deliveries.
DELETE FROM webhook_endpoints WHERE endpoint_id = $1;

-- name: rotate_secret
-- Sign with a new secret, and with the present one for so many seconds more.
UPDATE webhook_endpoints
SET previous_secret = secret, previous_until = clock_timestamp() + make_interval(secs => $3), secret = $2
WHERE endpoint_id = $1
RETURNING previous_until;

-- name: reseal_secret
-- Store a webhook's secrets under another key, unless they have changed meanwhile.
UPDATE webhook_endpoints SET secret = $4, previous_secret = $5
WHERE endpoint_id = $1 AND secret = $2 AND previous_secret IS NOT DISTINCT FROM $3;

-- name: queue_deliveries
-- Queue events for every enabled webhook that wants them; once, however often they come.
INSERT INTO webhook_deliveries (endpoint_id, event_id, name, version, payload, occurred_at)
SELECT w.endpoint_id, e.* FROM unnest($1::uuid[], $2::text[], $3::int[], $4::jsonb[], $5::timestamptz[])
    AS e(event_id, name, version, payload, occurred_at)
JOIN webhook_endpoints w ON w.disabled_at IS NULL AND e.name = ANY(w.events)
ON CONFLICT ON CONSTRAINT webhook_deliveries_once DO NOTHING;

-- name: queue_test
-- Queue an event for one webhook alone.
INSERT INTO webhook_deliveries (endpoint_id, event_id, name, version, payload, occurred_at)
VALUES ($1, $2, $3, 1, $4, clock_timestamp())
RETURNING delivery_id;

-- name: claim_deliveries
-- Take some deliveries that are due, a few of each enabled webhook that is not busy, for so many seconds. One that another node has just taken is skipped; one whose node died is due again when its time is over.
WITH due AS (
    SELECT d.seq FROM webhook_endpoints e
    CROSS JOIN LATERAL (
        SELECT w.seq FROM webhook_deliveries w
        WHERE w.endpoint_id = e.endpoint_id AND w.state = 'pending'
          AND w.next_attempt_at <= clock_timestamp()
        ORDER BY w.next_attempt_at, w.seq LIMIT $2
        FOR UPDATE SKIP LOCKED
    ) d
    WHERE e.disabled_at IS NULL AND e.endpoint_id <> ALL($1::uuid[])
    LIMIT $3
)
UPDATE webhook_deliveries d
SET attempts = d.attempts + 1, last_attempt_at = clock_timestamp(),
    next_attempt_at = clock_timestamp() + make_interval(secs => $4)
FROM due, webhook_endpoints e
WHERE d.seq = due.seq AND e.endpoint_id = d.endpoint_id
RETURNING d.seq, d.endpoint_id, d.event_id, d.name, d.version, d.payload, d.occurred_at, d.attempts,
    e.url, e.secret,
    CASE WHEN e.previous_until > clock_timestamp() THEN e.previous_secret END AS previous_secret;

-- name: delivered
-- Note that a delivery arrived, and that its webhook works.
WITH done AS (
    UPDATE webhook_deliveries
    SET state = 'delivered', delivered_at = clock_timestamp(), last_status = $3, last_error = NULL
    WHERE seq = $1 AND attempts = $2 AND state = 'pending' RETURNING endpoint_id)
UPDATE webhook_endpoints e SET failing_since = NULL
FROM done WHERE e.endpoint_id = done.endpoint_id AND e.failing_since IS NOT NULL;

-- name: not_delivered
-- Note that a delivery did not arrive, and when it is tried again, or that it is given up. A webhook that has failed for too long, or says that it is gone, is disabled; returns why, if so.
WITH failed AS (
    UPDATE webhook_deliveries
    SET state = CASE WHEN $6::bool THEN 'dead' ELSE 'pending' END, last_status = $3, last_error = $4,
        next_attempt_at = clock_timestamp() + make_interval(secs => $5)
    WHERE seq = $1 AND attempts = $2 AND state = 'pending' RETURNING endpoint_id
), judged AS (
    SELECT e.endpoint_id,
        CASE WHEN $7::bool THEN 'gone'
             WHEN e.failing_since < clock_timestamp() - make_interval(secs => $8) THEN 'failing' END AS reason
    FROM failed JOIN webhook_endpoints e ON e.endpoint_id = failed.endpoint_id
)
UPDATE webhook_endpoints e
SET failing_since = coalesce(e.failing_since, clock_timestamp()),
    disabled_reason = coalesce(e.disabled_reason, judged.reason),
    disabled_at = CASE WHEN judged.reason IS NOT NULL THEN coalesce(e.disabled_at, clock_timestamp())
                       ELSE e.disabled_at END
FROM judged
WHERE e.endpoint_id = judged.endpoint_id AND (e.failing_since IS NULL OR judged.reason IS NOT NULL)
RETURNING judged.reason;

-- name: list_deliveries
-- Read a webhook's deliveries from below a number, newest first.
SELECT seq, delivery_id, event_id, name, state, attempts, created_at, next_attempt_at,
       last_attempt_at, last_status, last_error, delivered_at
FROM webhook_deliveries
WHERE endpoint_id = $1 AND seq < $2 AND ($3::text IS NULL OR state = $3)
ORDER BY seq DESC LIMIT $4;

-- name: find_delivery
-- Read one delivery of a webhook.
SELECT seq, delivery_id, event_id, name, state, attempts, created_at, next_attempt_at,
       last_attempt_at, last_status, last_error, delivered_at
FROM webhook_deliveries WHERE endpoint_id = $1 AND delivery_id = $2;

-- name: redeliver
-- Send a delivery again, from the first attempt on.
UPDATE webhook_deliveries
SET state = 'pending', attempts = 0, next_attempt_at = clock_timestamp(), delivered_at = NULL
WHERE endpoint_id = $1 AND delivery_id = $2
RETURNING event_id;

-- name: clear_deliveries
-- Delete some deliveries that are older than so many seconds, unless they are still being tried; says how many.
WITH gone AS (
    DELETE FROM webhook_deliveries WHERE seq IN (
        SELECT d.seq FROM webhook_deliveries d JOIN webhook_endpoints e ON e.endpoint_id = d.endpoint_id
        WHERE d.created_at < clock_timestamp() - make_interval(secs => $1)
          AND (d.state <> 'pending' OR e.disabled_at IS NOT NULL)
        ORDER BY d.created_at LIMIT $2
        FOR UPDATE OF d SKIP LOCKED)
    RETURNING seq)
SELECT count(*) FROM gone;

-- name: webhook_backlog
-- Count the deliveries that wait, up to a bound, and the webhooks that were disabled because they fail.
SELECT
    (SELECT count(*) FROM (SELECT FROM webhook_deliveries d
        JOIN webhook_endpoints e ON e.endpoint_id = d.endpoint_id AND e.disabled_at IS NULL
        WHERE d.state = 'pending' LIMIT $1) AS waiting) AS pending,
    (SELECT count(*) FROM webhook_endpoints WHERE disabled_reason <> 'admin') AS disabled;
