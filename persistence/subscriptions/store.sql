-- name: begin_event
-- Note an event of Stripe's that came in; says whether it was processed before.
INSERT INTO stripe_events AS e (event_id, type) VALUES ($1, $2)
ON CONFLICT (event_id) DO UPDATE SET type = e.type RETURNING processed_at IS NOT NULL;

-- name: finish_event
-- Note that an event was processed.
UPDATE stripe_events SET processed_at = clock_timestamp() WHERE event_id = $1 AND processed_at IS NULL;

-- name: next_fetch
-- Draw the number of a fetch, before it begins.
SELECT nextval('subscription_fetches');

-- name: lock_customer
-- Lock the profile of a customer.
SELECT id, tier, subscription_status, subscription_fetch FROM profiles WHERE stripe_customer_id = $1 FOR NO KEY UPDATE;

-- name: claim_customer
-- Note whose customer it is, unless that person has one.
UPDATE profiles SET stripe_customer_id = $2 WHERE id = $1 AND stripe_customer_id IS NULL RETURNING id;

-- name: store_state
-- Store what a fetch found.
UPDATE profiles SET tier = $2, subscription_status = $3, stripe_subscription_id = $4, subscription_period_end = $5,
    subscription_cancels = $6, subscription_check_at = $7, subscription_fetch = $8
WHERE id = $1;

-- name: forget_customer
-- Forget a customer whom Stripe has deleted.
UPDATE profiles SET stripe_customer_id = NULL WHERE id = $1;

-- name: find_customer
-- Read the customer of an account, and what a checkout needs to know.
SELECT f.stripe_customer_id AS customer_id, f.subscription_status AS status, f.subscription_fetch AS fetch,
       playhall_auth.is_guest(f.id) AS is_guest
FROM profiles f WHERE f.id = $1;

-- name: set_customer
-- Note the customer of an account, unless it has one; returns the one that it has. A second look at the row would not see what somebody else wrote meanwhile; an update does.
UPDATE profiles SET stripe_customer_id = coalesce(stripe_customer_id, $2) WHERE id = $1 RETURNING stripe_customer_id;

-- name: read_own
-- Read one's own subscription.
SELECT tier, subscription_status AS status, subscription_period_end AS period_end, subscription_cancels AS cancels
FROM own_profile();

-- name: claim_checks
-- Take some customers whom Stripe is to be asked about; other nodes, and a failed attempt, come to them later.
UPDATE profiles SET subscription_check_at = clock_timestamp() + make_interval(secs => $2)
WHERE id IN (
  SELECT id FROM profiles WHERE subscription_check_at < clock_timestamp() AND stripe_customer_id IS NOT NULL
  ORDER BY subscription_check_at LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED)
RETURNING stripe_customer_id;

-- name: claim_deletions
-- Take some customers who are to be deleted; other nodes, and a failed attempt, come to them later.
UPDATE stripe_deletions SET due_at = clock_timestamp() + make_interval(secs => $2)
WHERE customer_id IN (
  SELECT customer_id FROM stripe_deletions WHERE due_at < clock_timestamp()
  ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING customer_id;

-- name: finish_deletion
-- Note that a customer was deleted.
DELETE FROM stripe_deletions WHERE customer_id = $1;

-- name: forget_events
-- Delete some events that came in longer ago than Stripe repeats them.
WITH gone AS (
  DELETE FROM stripe_events WHERE event_id IN (
    SELECT event_id FROM stripe_events WHERE received_at < clock_timestamp() - make_interval(days => $1)
    ORDER BY received_at LIMIT $2)
  RETURNING 1)
SELECT count(*) FROM gone;
