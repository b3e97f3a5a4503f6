-- name: may_see
-- Say whether a person may be seen.
SELECT may_see_person($1);

-- name: count_follows
-- Count whom a person follows.
SELECT count(*) FROM follows WHERE follower_id = $1;

-- name: count_blocks
-- Count whom a person blocks.
SELECT count(*) FROM blocks WHERE blocker_id = $1;

-- name: count_mutes
-- Count whom a person mutes.
SELECT count(*) FROM mutes WHERE muter_id = $1;

-- name: follow
-- Follow a person; false if that was so already.
SELECT follow_user($1, $2);

-- name: set_notify
-- Say whether a person is to be notified of what another one publishes.
UPDATE follows SET notify_creations = $3
WHERE follower_id = $1 AND following_id = $2 AND notify_creations <> $3;

-- name: unfollow
-- Stop following a person; false if that was so already.
SELECT unfollow_user($1, $2);

-- name: block
-- Block a person.
INSERT INTO blocks (blocker_id, blocked_id) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- name: unblock
-- Stop blocking a person.
DELETE FROM blocks WHERE blocker_id = $1 AND blocked_id = $2;

-- name: mute
-- Mute a person.
INSERT INTO mutes (muter_id, muted_id) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- name: unmute
-- Stop muting a person.
DELETE FROM mutes WHERE muter_id = $1 AND muted_id = $2;

-- name: read_ties
-- Read what there is between two people, as the first one may know.
SELECT $2::uuid AS user_id, f.follower_id IS NOT NULL AS is_following,
       coalesce(f.notify_creations, false) AS notify_creations,
       EXISTS (SELECT FROM follows b WHERE b.follower_id = $2 AND b.following_id = $1) AS is_followed_by,
       EXISTS (SELECT FROM blocks b WHERE b.blocker_id = $1 AND b.blocked_id = $2) AS is_blocked,
       EXISTS (SELECT FROM mutes m WHERE m.muter_id = $1 AND m.muted_id = $2) AS is_muted
FROM (SELECT) one LEFT JOIN follows f ON f.follower_id = $1 AND f.following_id = $2;

-- name: list_followers
-- List who follows a person, newest first.
SELECT p.id AS user_id, p.username, p.display_name, p.avatar_url, f.created_at AS since
FROM follows f JOIN profiles p ON p.id = f.follower_id
WHERE f.following_id = $1 AND (f.created_at, f.follower_id) < ($2, $3)
ORDER BY f.created_at DESC, f.follower_id DESC LIMIT $4;

-- name: list_following
-- List whom a person follows, newest first.
SELECT p.id AS user_id, p.username, p.display_name, p.avatar_url, f.created_at AS since
FROM follows f JOIN profiles p ON p.id = f.following_id
WHERE f.follower_id = $1 AND (f.created_at, f.following_id) < ($2, $3)
ORDER BY f.created_at DESC, f.following_id DESC LIMIT $4;

-- name: list_blocks
-- List whom a person blocks, newest first.
SELECT blocked_id AS user_id, created_at AS since FROM blocks
WHERE blocker_id = $1 AND (created_at, blocked_id) < ($2, $3)
ORDER BY created_at DESC, blocked_id DESC LIMIT $4;

-- name: list_mutes
-- List whom a person mutes, newest first.
SELECT muted_id AS user_id, created_at AS since FROM mutes
WHERE muter_id = $1 AND (created_at, muted_id) < ($2, $3)
ORDER BY created_at DESC, muted_id DESC LIMIT $4;

-- name: followed_players
-- List the players of the people whom somebody follows, newest first.
SELECT l.id FROM follows f JOIN players l ON l.user_id = f.following_id::text
WHERE f.follower_id = $1 ORDER BY f.created_at DESC, f.following_id DESC LIMIT $2;
