-- name: find_person
-- Find the account of a username.
SELECT id FROM profiles WHERE username = $1;

-- name: has_members
-- Say whether anybody has an account that is more than a guest's.
SELECT EXISTS (SELECT FROM profiles WHERE NOT playhall_auth.is_guest(id));

-- name: stage
-- Make the temporary tables that rows are copied to; COPY itself is refused under row level security.
CREATE TEMPORARY TABLE staged_people (
    id uuid, player_id uuid, username text, display_name text, bio text, created_at timestamptz,
    creation_count int, follower_count int, following_count int);
CREATE TEMPORARY TABLE staged_blocks (blocker_id uuid, blocked_id uuid, created_at timestamptz);
CREATE TEMPORARY TABLE staged_follows (
    id uuid, follower_id uuid, following_id uuid, notify_creations boolean, created_at timestamptz);
CREATE TEMPORARY TABLE staged_creations (
    id uuid, user_id uuid, title text, description text, type text, status text, is_public boolean,
    is_featured boolean, is_nsfw boolean, allow_remix boolean, tags text[], like_count int, comment_count int,
    remix_count int, remix_of uuid, created_at timestamptz, published_at timestamptz);
CREATE TEMPORARY TABLE staged_likes (id uuid, user_id uuid, creation_id uuid, created_at timestamptz);
CREATE TEMPORARY TABLE staged_comments (
    id uuid, user_id uuid, creation_id uuid, content text, parent_comment_id uuid, depth int, like_count int,
    created_at timestamptz);
CREATE TEMPORARY TABLE staged_comment_likes (user_id uuid, comment_id uuid, created_at timestamptz);
CREATE TEMPORARY TABLE staged_notifications (
    id uuid, user_id uuid, type text, title text, message text, actor_id uuid, creation_id uuid, comment_id uuid,
    is_read boolean, created_at timestamptz);

-- name: clear_staged
-- Empty the temporary tables.
TRUNCATE staged_people, staged_blocks, staged_follows, staged_creations, staged_likes, staged_comments,
    staged_comment_likes, staged_notifications;

-- name: hold_triggers
-- Until the transaction ends, leave out the triggers that check, count and notify row by row: what is copied was checked and counted where it was made up. Foreign keys hold. Words are indexed in larger portions.
ALTER INDEX published_creations_words_idx RESET (gin_pending_list_limit);
ALTER INDEX published_creations_tags_idx RESET (gin_pending_list_limit);
ALTER TABLE creations DISABLE TRIGGER USER;
ALTER TABLE likes DISABLE TRIGGER USER;
ALTER TABLE comments DISABLE TRIGGER USER;
ALTER TABLE comment_likes DISABLE TRIGGER USER;
ALTER TABLE follows DISABLE TRIGGER USER;
ALTER TABLE blocks DISABLE TRIGGER USER;

-- name: release_triggers
-- Have the triggers back; without a commit, they were never away.
ALTER INDEX published_creations_words_idx SET (gin_pending_list_limit = 256);
ALTER INDEX published_creations_tags_idx SET (gin_pending_list_limit = 256);
ALTER TABLE creations ENABLE TRIGGER USER;
ALTER TABLE likes ENABLE TRIGGER USER;
ALTER TABLE comments ENABLE TRIGGER USER;
ALTER TABLE comment_likes ENABLE TRIGGER USER;
ALTER TABLE follows ENABLE TRIGGER USER;
ALTER TABLE blocks ENABLE TRIGGER USER;

-- name: add_people
-- Add the people who were copied, as guests.
WITH accounts AS (
    INSERT INTO auth.users (id, is_anonymous) SELECT id, true FROM staged_people ON CONFLICT DO NOTHING
), added AS (
    INSERT INTO profiles (id, username, display_name, bio, created_at, creation_count, follower_count, following_count)
    SELECT id, username, display_name, bio, created_at, creation_count, follower_count, following_count
    FROM staged_people ON CONFLICT DO NOTHING
)
INSERT INTO players (id, user_id, display_name, avatar_seed, color)
SELECT player_id, id::text, display_name, left(md5(username), 24), '#' || left(md5(username), 6)
FROM staged_people ON CONFLICT DO NOTHING;

-- name: add_ties
-- Add the blocks and follows that were copied.
WITH blocked AS (
    INSERT INTO blocks (blocker_id, blocked_id, created_at)
    SELECT blocker_id, blocked_id, created_at FROM staged_blocks ON CONFLICT DO NOTHING
)
INSERT INTO follows (id, follower_id, following_id, notify_creations, created_at)
SELECT id, follower_id, following_id, notify_creations, created_at FROM staged_follows ON CONFLICT DO NOTHING;

-- name: add_creations
-- Add the creations that were copied.
INSERT INTO creations (id, user_id, title, description, type, status, is_public, is_featured, is_nsfw, license,
    allow_remix, tags, like_count, comment_count, remix_count, remix_of, created_at, updated_at, published_at)
SELECT id, user_id, title, description, type, status, is_public, is_featured, is_nsfw,
    CASE WHEN allow_remix THEN 'CC-BY-4.0' ELSE 'all-rights-reserved' END, allow_remix, tags, like_count,
    comment_count, remix_count, remix_of, created_at, coalesce(published_at, created_at), published_at
FROM staged_creations ON CONFLICT DO NOTHING;

-- name: list_creations
-- Put the creations that were copied on the lists, those that everybody may find.
INSERT INTO published_creations
SELECT l.* FROM listings_of(ARRAY(SELECT id FROM staged_creations)) l ON CONFLICT DO NOTHING;

-- name: add_likes
-- Add the likes that were copied.
INSERT INTO likes (id, user_id, creation_id, created_at)
SELECT id, user_id, creation_id, created_at FROM staged_likes ON CONFLICT DO NOTHING;

-- name: add_comments
-- Add the comments that were copied, each after what it replies to.
INSERT INTO comments (id, user_id, creation_id, content, parent_comment_id, depth, like_count, created_at, updated_at)
SELECT id, user_id, creation_id, content, parent_comment_id, depth, like_count, created_at, created_at
FROM staged_comments ORDER BY depth ON CONFLICT DO NOTHING;

-- name: add_comment_likes
-- Add the likes of comments that were copied.
INSERT INTO comment_likes (user_id, comment_id, created_at)
SELECT user_id, comment_id, created_at FROM staged_comment_likes ON CONFLICT DO NOTHING;

-- name: add_notifications
-- Add the notifications that were copied, as triggers would have, each with its number.
INSERT INTO notifications (id, seq, user_id, type, title, message, action_url, actor_id, creation_id, comment_id,
    is_read, read_at, created_at, expires_at, group_key, dedupe_key)
SELECT id, nextval('notification_numbers'), user_id, type, left(title, 300), left(message, 2000),
    CASE type WHEN 'new_follower' THEN '/people/' || actor_id
        WHEN 'creation_liked' THEN '/creations/' || creation_id
        ELSE '/creations/' || creation_id || '#comment-' || comment_id END,
    actor_id, creation_id, comment_id, is_read, CASE WHEN is_read THEN created_at END, created_at,
    created_at + interval '90 days',
    CASE type WHEN 'new_follower' THEN type ELSE type || ':' || creation_id END,
    CASE type WHEN 'new_follower' THEN type || ':' || actor_id
        WHEN 'creation_liked' THEN type || ':' || creation_id || ':' || actor_id
        ELSE 'comment:' || comment_id END
FROM staged_notifications ON CONFLICT DO NOTHING;

-- name: count_days
-- Count the days of all creations, which triggers would have counted.
INSERT INTO creation_days AS d (creation_id, day, like_count, comment_count, remix_count)
SELECT n.* FROM count_creation_days(ARRAY(SELECT id FROM creations)) n
ON CONFLICT (creation_id, day) DO UPDATE SET like_count = excluded.like_count,
    comment_count = excluded.comment_count, remix_count = excluded.remix_count
WHERE (d.like_count, d.comment_count, d.remix_count)
    <> (excluded.like_count, excluded.comment_count, excluded.remix_count);

-- name: tidy_tables
-- Let the planner know of what was added, and index-only scans of what everybody sees.
VACUUM (ANALYZE) auth.users, profiles, players, blocks, follows, creations, published_creations, likes, comments,
    comment_likes, notifications, creation_days;
