-- name: follow_many
-- Have a person follow two hundred others, the popular ones more likely.
INSERT INTO follows (follower_id, following_id)
SELECT %(person)s, id FROM (
    SELECT id FROM profiles WHERE id <> %(person)s AND username LIKE 'maker\_%%' AND is_active
    ORDER BY -ln(1 - random()) / (follower_count + 1) LIMIT 200) chosen
ON CONFLICT DO NOTHING;

-- name: rare_words
-- Choose words that at most ten creations have.
SELECT lexeme FROM (
    SELECT DISTINCT w.lexeme FROM (SELECT words FROM published_creations LIMIT 500) few, LATERAL unnest(few.words) w
    WHERE w.lexeme ~ '^[a-z]{7,}$' ORDER BY 1 LIMIT 400) some_words
WHERE (SELECT count(*) FROM published_creations p WHERE p.words @@ lexeme::tsquery) <= 10
LIMIT %(count)s;

-- name: fill_inbox
-- Give a person a hundred thousand notifications, of five thousand creations.
INSERT INTO notifications (seq, user_id, type, title, message, action_url, actor_id, creation_id, group_key, dedupe_key,
    is_read, created_at)
SELECT nextval('notification_numbers'), %(person)s, 'creation_liked', 'Somebody liked your creation', c.title,
    '/creations/' || c.id, p.id, c.id, 'creation_liked:' || c.id, 'creation_liked:' || c.id || ':' || p.id,
    n %% 3 <> 0, now() - n * interval '1 minute' / 10
FROM (SELECT n, (random() * 4999)::int AS creation, n %% 20000 AS actor
    FROM generate_series(1, %(count)s) n) made
JOIN (SELECT id, title, row_number() OVER () - 1 AS place FROM creations LIMIT 5000) c ON c.place = made.creation
JOIN (SELECT id, row_number() OVER () - 1 AS place FROM profiles LIMIT 20000) p
    ON p.place = made.actor %% (SELECT least(20000, count(*)) FROM profiles)
ON CONFLICT DO NOTHING;

-- name: count_likes
-- Compare the counter of a creation with its rows.
SELECT c.like_count, (SELECT count(*) FROM likes l WHERE l.creation_id = c.id) FROM creations c WHERE c.id = %(creation)s;

-- name: specified_feed
-- The specification's own query for a feed.
SELECT c.*, p.username, p.display_name, p.avatar_url,
    EXISTS (SELECT 1 FROM likes WHERE likes.creation_id = c.id AND likes.user_id = :person) AS user_has_liked
FROM creations c JOIN profiles p ON p.id = c.user_id JOIN follows f ON f.following_id = c.user_id
WHERE f.follower_id = :person AND c.is_public = TRUE AND c.status = 'published'
ORDER BY c.created_at DESC LIMIT 20 OFFSET :offset;

-- name: specified_search
-- The specification's own query for a search.
SELECT c.*, p.username, p.avatar_url FROM creations c JOIN profiles p ON p.id = c.user_id
WHERE c.is_public = TRUE AND c.status = 'published' AND (c.title ILIKE '%%' || %(words)s || '%%'
    OR c.description ILIKE '%%' || %(words)s || '%%' OR %(words)s = ANY (c.tags))
ORDER BY c.created_at DESC LIMIT 20;

-- name: single_like
-- Like a creation as one person after another, each in a transaction of its own, past the server.
BEGIN;
INSERT INTO likes (user_id, creation_id) SELECT id, :creation FROM profiles
    WHERE id > gen_random_uuid() ORDER BY id LIMIT 1 ON CONFLICT DO NOTHING;
COMMIT;
