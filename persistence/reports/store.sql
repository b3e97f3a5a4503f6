-- name: add_report
-- File a report; nothing if there is an open one of the same thing, or too many.
INSERT INTO reports (reporter_id, creation_id, comment_id, profile_id, message_id, reason, details)
SELECT $1, $2, $3, $4, $5, $6, $7
WHERE (SELECT count(*) FROM reports r WHERE r.reporter_id = $1 AND r.status = 'open') < $8
ON CONFLICT DO NOTHING;

-- name: find_open
-- Find somebody's open report of a thing.
SELECT id AS report_id, creation_id, comment_id, profile_id AS user_id, message_id, reason, details, status,
       created_at, decided_at
FROM reports
WHERE reporter_id = $1 AND status = 'open' AND creation_id IS NOT DISTINCT FROM $2
    AND comment_id IS NOT DISTINCT FROM $3 AND profile_id IS NOT DISTINCT FROM $4
    AND message_id IS NOT DISTINCT FROM $5;

-- name: list_filed
-- List somebody's reports, newest first.
SELECT id AS report_id, creation_id, comment_id, profile_id AS user_id, message_id, reason, details, status,
       created_at, decided_at
FROM reports WHERE reporter_id = $1 AND (created_at, id) < ($2, $3)
ORDER BY created_at DESC, id DESC LIMIT $4;

-- name: list_queue
-- List reports of a status, oldest first, with what was reported; none of what is $5's.
SELECT r.id AS report_id, r.creation_id, r.comment_id, r.profile_id AS user_id, r.message_id, r.reason, r.details,
       r.status, r.created_at, r.decided_at, r.reporter_id, coalesce(c.user_id, k.user_id, r.profile_id) AS owner_id,
       left(coalesce(c.title, k.content, p.display_name, p.username, m.content), 200) AS excerpt,
       r.decision, r.decision_note, r.decided_by
FROM reports r
LEFT JOIN creations c ON c.id = r.creation_id
LEFT JOIN comments k ON k.id = r.comment_id
LEFT JOIN profiles p ON p.id = r.profile_id
LEFT JOIN luminor_messages m ON m.id = r.message_id
WHERE r.status = $1 AND (r.created_at, r.id) > ($2, $3)
    AND ($5::uuid IS NULL OR coalesce(c.user_id, k.user_id, r.profile_id) IS DISTINCT FROM $5)
ORDER BY r.created_at, r.id LIMIT $4;

-- name: read_report
-- Read a report with what was reported.
SELECT r.id AS report_id, r.creation_id, r.comment_id, r.profile_id AS user_id, r.message_id, r.reason, r.details,
       r.status, r.created_at, r.decided_at, r.reporter_id, coalesce(c.user_id, k.user_id, r.profile_id) AS owner_id,
       left(coalesce(c.title, k.content, p.display_name, p.username, m.content), 200) AS excerpt,
       r.decision, r.decision_note, r.decided_by
FROM reports r
LEFT JOIN creations c ON c.id = r.creation_id
LEFT JOIN comments k ON k.id = r.comment_id
LEFT JOIN profiles p ON p.id = r.profile_id
LEFT JOIN luminor_messages m ON m.id = r.message_id
WHERE r.id = $1;

-- name: lock_person
-- Lock a person before what is theirs.
SELECT FROM profiles WHERE id = $1 FOR NO KEY UPDATE;

-- name: lock_creation
-- Lock a creation before reports of it.
SELECT FROM creations WHERE id = $1 FOR NO KEY UPDATE;

-- name: lock_comment
-- Lock a comment before reports of it.
SELECT FROM comments WHERE id = $1 FOR NO KEY UPDATE;

-- name: has_role
-- Say whether an account has any role.
SELECT EXISTS (SELECT FROM account_roles WHERE user_id = $1);

-- name: decide
-- Decide the open reports of a thing; returns their reporters.
UPDATE reports SET status = $5, decision = $6, decision_note = $7, decided_by = $8, decided_at = clock_timestamp()
WHERE status = 'open' AND creation_id IS NOT DISTINCT FROM $1 AND comment_id IS NOT DISTINCT FROM $2
    AND profile_id IS NOT DISTINCT FROM $3 AND message_id IS NOT DISTINCT FROM $4
RETURNING id, reporter_id;

-- name: mark_nsfw
-- Mark a creation as not safe for work.
UPDATE creations SET is_nsfw = true WHERE id = $1;

-- name: remove_creation
-- Remove a creation from everyone but its owner.
UPDATE creations SET removed_at = coalesce(removed_at, clock_timestamp()) WHERE id = $1;

-- name: remove_comment
-- Remove a comment from everyone but its author.
UPDATE comments SET removed_at = coalesce(removed_at, clock_timestamp()) WHERE id = $1;

-- name: unflag_comment
-- Note that nothing is wrong with a comment.
UPDATE comments SET is_flagged = false WHERE id = $1 AND is_flagged;

-- name: deactivate
-- Hide a person and what they made, until an admin reactivates the account.
UPDATE profiles SET is_active = false, deactivated_by = 'staff' WHERE id = $1;

-- name: notify
-- Notify a person of a decision, once.
SELECT notify_person($1, 'moderation_decision', $2, $3, NULL, '{}', NULL, $4, $5, NULL, $6);

-- name: set_featured
-- Feature a creation, or end that; returns its owner, and nothing if it is not on the lists.
UPDATE creations SET is_featured = $2
WHERE id = $1 AND EXISTS (SELECT FROM published_creations p WHERE p.creation_id = $1)
RETURNING user_id;
