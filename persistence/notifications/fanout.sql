-- name: begin_creation
-- Begin to notify followers of a creation, unless that was begun before, or it is gone.
INSERT INTO notification_fanouts (creation_id)
SELECT c.id FROM creations c WHERE c.id = $1 FOR KEY SHARE
ON CONFLICT DO NOTHING;

-- name: add_announcement
-- Keep an announcement, unless there is one with its id.
INSERT INTO announcements (id, title, message, action_url, created_by) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING RETURNING id;

-- name: begin_announcement
-- Begin to notify everybody of an announcement.
INSERT INTO notification_fanouts (announcement_id) VALUES ($1) ON CONFLICT DO NOTHING;

-- name: find_announcement
-- Read an announcement, and how far it has got.
SELECT a.id, a.title, a.message, a.action_url, a.created_at, f.notified_count, f.finished_at
FROM announcements a JOIN notification_fanouts f ON f.announcement_id = a.id WHERE a.id = $1;

-- name: claim
-- Take what is to be notified of, oldest first, until the transaction ends; what another node has is skipped, and what failed rests.
SELECT id, creation_id, announcement_id, reached_id, attempts FROM notification_fanouts
WHERE finished_at IS NULL AND parked_at IS NULL AND next_attempt_at <= clock_timestamp()
ORDER BY created_at, id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;

-- name: notify_followers
-- Notify some followers of a creation, those after one; says who the last one is, and how many were notified. Leaves out everybody who blocks or mutes its owner, or the other way round, or does not want to know.
WITH creation AS (
    SELECT c.id, c.user_id, c.title, c.is_nsfw, coalesce(o.display_name, o.username, o.arcanean_id) AS owner
    FROM creations c JOIN profiles o ON o.id = c.user_id AND o.is_active
    WHERE c.id = $1 AND c.status = 'published' AND c.is_public AND c.removed_at IS NULL
), batch AS MATERIALIZED (
    SELECT f.follower_id FROM creation c JOIN follows f ON f.following_id = c.user_id AND f.notify_creations
    WHERE f.follower_id > $2 ORDER BY f.follower_id LIMIT $3
), notified AS (
    INSERT INTO notifications (user_id, type, title, message, action_url, actor_id, creation_id, group_key, dedupe_key)
    SELECT p.id, 'creation_published', left(c.owner || ' published a new creation', 300), left(c.title, 2000),
           '/creations/' || c.id, c.user_id, c.id, 'creation_published:' || c.user_id, 'creation_published:' || c.id
    FROM batch s JOIN profiles p ON p.id = s.follower_id CROSS JOIN creation c
    WHERE p.is_active AND p.id <> c.user_id
      AND (NOT c.is_nsfw OR p.preferences -> 'show_nsfw' = 'true'::jsonb)
      AND coalesce(p.preferences #>> '{notifications,creation_published}', '') <> 'false'
      AND NOT EXISTS (SELECT FROM blocks b WHERE b.blocker_id = p.id AND b.blocked_id = c.user_id)
      AND NOT EXISTS (SELECT FROM blocks b WHERE b.blocker_id = c.user_id AND b.blocked_id = p.id)
      AND NOT EXISTS (SELECT FROM mutes m WHERE m.muter_id = p.id AND m.muted_id = c.user_id)
    ORDER BY p.id
    RETURNING user_id  -- those who have the key already are left out by a trigger
)
SELECT (SELECT max(follower_id::text)::uuid FROM batch) AS reached_id, (SELECT count(*)::int FROM batch) AS seen,
       (SELECT count(*)::int FROM notified) AS notified, EXISTS (SELECT FROM creation) AS is_shown;

-- name: notify_everybody
-- Notify some people of an announcement, those after one; says who the last one is, and how many were notified.
WITH announcement AS (
    SELECT * FROM announcements WHERE id = $1
), batch AS MATERIALIZED (
    SELECT p.id, p.is_active, p.merged_into, p.preferences FROM profiles p WHERE p.id > $2 ORDER BY p.id LIMIT $3
), notified AS (
    INSERT INTO notifications (user_id, type, title, message, action_url, group_key, dedupe_key)
    SELECT p.id, 'system_announcement', a.title, a.message, a.action_url, NULL, 'announcement:' || a.id
    FROM batch p CROSS JOIN announcement a
    WHERE p.is_active AND p.merged_into IS NULL
      AND coalesce(p.preferences #>> '{notifications,system_announcement}', '') <> 'false'
    ORDER BY p.id
    RETURNING user_id  -- those who have the key already are left out by a trigger
)
SELECT (SELECT max(id::text)::uuid FROM batch) AS reached_id, (SELECT count(*)::int FROM batch) AS seen,
       (SELECT count(*)::int FROM notified) AS notified, true AS is_shown;

-- name: note_progress
-- Note how far notifying has got, in the transaction of the batch.
UPDATE notification_fanouts SET reached_id = coalesce($2, reached_id), notified_count = notified_count + $3,
    finished_at = CASE WHEN $4 THEN clock_timestamp() END, attempts = 0, last_error = NULL
WHERE id = $1;

-- name: note_failure
-- Have something rest after a batch that failed, or park it; unless it went on meanwhile.
UPDATE notification_fanouts SET attempts = attempts + 1, last_error = $3,
    next_attempt_at = clock_timestamp() + make_interval(secs => $4),
    parked_at = CASE WHEN $5 THEN clock_timestamp() END
WHERE id = $1 AND attempts = $2 AND finished_at IS NULL AND parked_at IS NULL;

-- name: count_open
-- Count what is still to be notified of, what of it failed, and what was given up; each up to a bound.
SELECT
    (SELECT count(*)::int FROM (SELECT FROM notification_fanouts
        WHERE finished_at IS NULL AND parked_at IS NULL LIMIT $1) AS few) AS open,
    (SELECT count(*)::int FROM (SELECT FROM notification_fanouts
        WHERE finished_at IS NULL AND parked_at IS NULL AND attempts > 0 LIMIT $1) AS few) AS failing,
    (SELECT count(*)::int FROM (SELECT FROM notification_fanouts WHERE parked_at IS NOT NULL LIMIT $1) AS few) AS parked;

-- name: list_parked
-- List what was given up, oldest first.
SELECT id, creation_id, announcement_id, notified_count, attempts, last_error, created_at, parked_at
FROM notification_fanouts WHERE parked_at IS NOT NULL ORDER BY parked_at, id LIMIT $1;

-- name: retry_parked
-- Have what was given up tried again from where it stopped: one of it, or all.
UPDATE notification_fanouts SET parked_at = NULL, attempts = 0, next_attempt_at = clock_timestamp()
WHERE parked_at IS NOT NULL AND ($1::uuid IS NULL OR id = $1) RETURNING id;

-- name: forget
-- Forget what is not shown any more, so that showing it again begins anew.
DELETE FROM notification_fanouts WHERE id = $1;
