-- name: list_heads
-- List the newest notification of each group of a person, older than a place, with what the group has; looks at a bounded number of notifications.
SELECT * FROM list_inbox($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: last_looked_at
-- Find where the notifications end that a page of groups looked at; none if it looked at all.
SELECT * FROM find_inbox_end($1, $2, $3, $4, $5, $6, $7);

-- name: list_actors
-- List the newest people of some groups, three of each; a group without a key is one notification.
SELECT * FROM list_inbox_actors($1, $2, $3, $4, $5, $6);

-- name: count_unread
-- Count what a person has not read, up to a bound.
SELECT count_inbox_unread($1, $2);

-- name: mark_some
-- Mark notifications of a person by their ids; null leaves a mark as it is.
UPDATE notifications SET is_read = coalesce($3, is_read), is_archived = coalesce($4, is_archived)
WHERE user_id = $1 AND id = ANY ($2::uuid[])
  AND (is_read, is_archived) IS DISTINCT FROM (coalesce($3, is_read), coalesce($4, is_archived));

-- name: mark_group
-- Mark the notifications of a group of a person.
UPDATE notifications SET is_read = coalesce($3, is_read), is_archived = coalesce($4, is_archived)
WHERE user_id = $1 AND group_key = $2
  AND (is_read, is_archived) IS DISTINCT FROM (coalesce($3, is_read), coalesce($4, is_archived));

-- name: mark_all
-- Mark all notifications of a person.
UPDATE notifications SET is_read = coalesce($2, is_read), is_archived = coalesce($3, is_archived)
WHERE user_id = $1
  AND (is_read, is_archived) IS DISTINCT FROM (coalesce($2, is_read), coalesce($3, is_archived));

-- name: delete_one
-- Delete a notification of a person.
DELETE FROM notifications WHERE user_id = $1 AND id = $2;

-- name: delete_group
-- Delete the notifications of a group of a person.
DELETE FROM notifications WHERE user_id = $1 AND group_key = $2;

-- name: delete_expired
-- Delete some notifications that have expired; says how many.
WITH gone AS (
    DELETE FROM notifications WHERE id IN (
        SELECT id FROM notifications WHERE expires_at <= clock_timestamp()
        ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)
    RETURNING id)
SELECT count(*) FROM gone;

-- name: read_preferences
-- Read what a person wants to be notified of, and whether they get digests.
SELECT f.preferences -> 'notifications' AS types,
       EXISTS (SELECT FROM notification_digests d WHERE d.user_id = f.id) AS has_digest
FROM own_profile() f;

-- name: set_types
-- Change what a person wants to be notified of; other preferences stay.
UPDATE profiles SET preferences = (
    SELECT o.preferences || jsonb_build_object('notifications',
        CASE jsonb_typeof(o.preferences -> 'notifications') WHEN 'object' THEN o.preferences -> 'notifications'
            ELSE '{}'::jsonb END || $2)
    FROM own_profile() o)
WHERE id = $1;

-- name: begin_digest
-- Mail digests to a person from now on.
INSERT INTO notification_digests (user_id) VALUES ($1) ON CONFLICT DO NOTHING;

-- name: end_digest
-- Mail a person no more digests.
DELETE FROM notification_digests WHERE user_id = $1;

-- name: has_unnumbered
-- Say whether any notification waits for its number.
SELECT EXISTS (SELECT FROM notifications WHERE seq IS NULL);

-- name: hold_numbering
-- Become the only one who numbers notifications until the transaction ends; false if another node does.
SELECT pg_try_advisory_xact_lock(hashtextextended('notifications.numbering', 0));

-- name: number_some
-- Number committed notifications, oldest first, and give those that may be delivered, each with the number before it. One at a time: see `hold_numbering`.
WITH due AS MATERIALIZED (
    SELECT id FROM notifications WHERE seq IS NULL
    ORDER BY created_at, id LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
), numbers AS MATERIALIZED (
    SELECT id, nextval('notification_numbers') AS seq FROM due
), numbered AS (
    UPDATE notifications n SET seq = d.seq FROM numbers d WHERE n.id = d.id RETURNING n.*
)
SELECT n.id, n.seq, n.user_id, n.type, n.title, n.message, n.action_url, n.metadata, n.creation_id, n.comment_id,
       n.group_key, n.is_read, n.is_archived, n.created_at, n.actor_id,
       coalesce(lag(n.seq) OVER (PARTITION BY n.user_id ORDER BY n.seq),
           (SELECT max(o.seq) FROM notifications o WHERE o.user_id = n.user_id), 0) AS after,
       n.expires_at > now() AND (n.actor_id IS NULL OR EXISTS (
           SELECT FROM profiles a WHERE a.id = n.actor_id AND a.is_active
           AND NOT EXISTS (SELECT FROM blocks b WHERE b.blocker_id = n.user_id AND b.blocked_id = a.id)
           AND NOT EXISTS (SELECT FROM blocks b WHERE b.blocker_id = a.id AND b.blocked_id = n.user_id))) AS is_visible
FROM numbered n ORDER BY n.seq;

-- name: read_head
-- Read the number of a person's newest notification.
SELECT coalesce(max(seq), 0) FROM notifications WHERE user_id = $1;

-- name: read_after
-- Read the notifications of some people, each after a number of their own, as they may see them.
SELECT n.id, n.seq, n.user_id, n.type, n.title, n.message, n.action_url, n.metadata, n.creation_id, n.comment_id,
       n.group_key, n.is_read, n.is_archived, n.created_at, n.actor_id
FROM unnest($1::uuid[], $2::bigint[]) AS p (user_id, seq)
CROSS JOIN LATERAL (
    SELECT * FROM notifications o
    WHERE o.user_id = p.user_id AND o.seq > p.seq AND o.expires_at > now() AND (o.actor_id IS NULL OR EXISTS (
        SELECT FROM profiles a WHERE a.id = o.actor_id AND a.is_active
        AND NOT EXISTS (SELECT FROM blocks b WHERE b.blocker_id = o.user_id AND b.blocked_id = a.id)
        AND NOT EXISTS (SELECT FROM blocks b WHERE b.blocker_id = a.id AND b.blocked_id = o.user_id)))
    ORDER BY o.seq LIMIT $3
) n
ORDER BY n.user_id, n.seq LIMIT $4;
