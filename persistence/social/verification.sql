-- name: list_creations
-- List some creations by id.
SELECT id FROM creations WHERE id > $1 ORDER BY id LIMIT $2;

-- name: check_creations
-- Find counters of creations that are not what they count; listed is 1 for what lists show, wrong_days is 0.
SELECT c.id, n.counter, n.stored, n.counted
FROM creations c JOIN profiles o ON o.id = c.user_id,
LATERAL (VALUES
    ('like_count', c.like_count::bigint, (SELECT count(*) FROM likes l WHERE l.creation_id = c.id)),
    ('comment_count', c.comment_count::bigint, (SELECT count(*) FROM comments k
        WHERE k.creation_id = c.id AND k.deleted_at IS NULL AND k.removed_at IS NULL)),
    ('remix_count', c.remix_count::bigint, (SELECT count(*) FROM creations r
        WHERE r.remix_of = c.id AND r.status = 'published')),
    ('view_count', c.view_count, (SELECT coalesce(sum(d.view_count), 0)::bigint FROM creation_days d
        WHERE d.creation_id = c.id)),
    ('wrong_days', 0::bigint, (SELECT count(*) FROM count_creation_days(ARRAY[c.id]) n
        FULL JOIN (SELECT * FROM creation_days s WHERE s.creation_id = c.id) s ON s.day = n.day
        WHERE (coalesce(n.like_count, 0), coalesce(n.comment_count, 0), coalesce(n.remix_count, 0))
            <> (coalesce(s.like_count, 0), coalesce(s.comment_count, 0), coalesce(s.remix_count, 0)))),
    ('listed', (SELECT count(*) FROM published_creations p WHERE p.creation_id = c.id),
        (c.status = 'published' AND c.is_public AND c.removed_at IS NULL AND o.is_active)::int::bigint)
) n (counter, stored, counted)
WHERE c.id = ANY ($1::uuid[]) AND n.stored <> n.counted ORDER BY c.id, n.counter;

-- name: lock_creation
-- Lock a creation, so that its counters do not change meanwhile.
SELECT FROM creations WHERE id = $1 FOR NO KEY UPDATE;

-- name: repair_creation
-- Count anew for a creation.
UPDATE creations c SET
    like_count = (SELECT count(*) FROM likes l WHERE l.creation_id = c.id),
    comment_count = (SELECT count(*) FROM comments k
        WHERE k.creation_id = c.id AND k.deleted_at IS NULL AND k.removed_at IS NULL),
    remix_count = (SELECT count(*) FROM creations r WHERE r.remix_of = c.id AND r.status = 'published'),
    view_count = (SELECT coalesce(sum(d.view_count), 0) FROM creation_days d WHERE d.creation_id = c.id)
WHERE c.id = $1;

-- name: forget_days
-- Forget what a creation had by day, apart from views.
UPDATE creation_days SET like_count = 0, comment_count = 0, remix_count = 0 WHERE creation_id = $1;

-- name: repair_days
-- Count the days of a creation anew.
INSERT INTO creation_days AS d (creation_id, day, like_count, comment_count, remix_count)
SELECT n.creation_id, n.day, n.like_count, n.comment_count, n.remix_count FROM count_creation_days(ARRAY[$1::uuid]) n
ON CONFLICT (creation_id, day) DO UPDATE SET like_count = excluded.like_count,
    comment_count = excluded.comment_count, remix_count = excluded.remix_count;

-- name: list_again
-- Put a creation on the lists, or take it off.
SELECT list_creation($1);

-- name: list_comments
-- List some comments by id.
SELECT id FROM comments WHERE id > $1 ORDER BY id LIMIT $2;

-- name: check_comments
-- Find counters of comments that are not what they count.
SELECT c.id, 'like_count' AS counter, c.like_count::bigint AS stored, n.counted
FROM comments c, LATERAL (SELECT count(*) AS counted FROM comment_likes l WHERE l.comment_id = c.id) n
WHERE c.id = ANY ($1::uuid[]) AND c.like_count <> n.counted ORDER BY c.id;

-- name: lock_comment
-- Lock a comment, so that its counter does not change meanwhile.
SELECT FROM comments WHERE id = $1 FOR NO KEY UPDATE;

-- name: repair_comment
-- Count anew for a comment.
UPDATE comments c SET like_count = (SELECT count(*) FROM comment_likes l WHERE l.comment_id = c.id)
WHERE c.id = $1;

-- name: list_profiles
-- List some people by id.
SELECT id FROM profiles WHERE id > $1 ORDER BY id LIMIT $2;

-- name: check_profiles
-- Find counters of people that are not what they count.
SELECT p.id, n.counter, n.stored, n.counted
FROM profiles p, LATERAL (VALUES
    ('creation_count', p.creation_count::bigint, (SELECT count(*) FROM creations c
        WHERE c.user_id = p.id AND c.status = 'published')),
    ('follower_count', p.follower_count::bigint, (SELECT count(*) FROM follows f WHERE f.following_id = p.id)),
    ('following_count', p.following_count::bigint, (SELECT count(*) FROM follows f WHERE f.follower_id = p.id))
) n (counter, stored, counted)
WHERE p.id = ANY ($1::uuid[]) AND n.stored <> n.counted ORDER BY p.id, n.counter;

-- name: lock_profile
-- Lock a person, so that their counters do not change meanwhile.
SELECT FROM profiles WHERE id = $1 FOR NO KEY UPDATE;

-- name: repair_profile
-- Count anew for a person.
UPDATE profiles p SET
    creation_count = (SELECT count(*) FROM creations c WHERE c.user_id = p.id AND c.status = 'published'),
    follower_count = (SELECT count(*) FROM follows f WHERE f.following_id = p.id),
    following_count = (SELECT count(*) FROM follows f WHERE f.follower_id = p.id)
WHERE p.id = $1;

-- name: list_conversations
-- List some conversations by id.
SELECT id FROM luminor_conversations WHERE id > $1 ORDER BY id LIMIT $2;

-- name: check_conversations
-- Find counters of conversations that are not what they count.
SELECT c.id, 'message_count' AS counter, c.message_count::bigint AS stored, n.counted
FROM luminor_conversations c,
LATERAL (SELECT count(*) AS counted FROM luminor_messages m WHERE m.conversation_id = c.id) n
WHERE c.id = ANY ($1::uuid[]) AND c.message_count <> n.counted ORDER BY c.id;

-- name: lock_conversation
-- Lock a conversation, so that its counter does not change meanwhile.
SELECT FROM luminor_conversations WHERE id = $1 FOR NO KEY UPDATE;

-- name: repair_conversation
-- Count anew for a conversation.
UPDATE luminor_conversations c SET
    message_count = (SELECT count(*) FROM luminor_messages m WHERE m.conversation_id = c.id)
WHERE c.id = $1;

-- name: list_luminors
-- List some companions by id.
SELECT id FROM luminors WHERE id > $1 ORDER BY id LIMIT $2;

-- name: check_luminors
-- Find counters of companions that are not what they count.
SELECT l.id, n.counter, n.stored, n.counted
FROM luminors l, LATERAL (
    SELECT count(m.user_rating) AS count, coalesce(sum(m.user_rating), 0)::bigint AS points
    FROM luminor_messages m JOIN luminor_conversations c ON c.id = m.conversation_id
    WHERE c.luminor_id = l.id) r,
LATERAL (VALUES
    ('user_count', l.user_count::bigint,
        (SELECT count(*) FROM luminor_relationships b WHERE b.luminor_id = l.id)),
    ('rating_count', l.rating_count, r.count),
    ('rating_sum', l.rating_sum, r.points)
) n (counter, stored, counted)
WHERE l.id = ANY ($1::uuid[]) AND n.stored <> n.counted ORDER BY l.id, n.counter;

-- name: lock_luminor
-- Lock a companion, so that its counters do not change meanwhile.
SELECT FROM luminors WHERE id = $1 FOR NO KEY UPDATE;

-- name: repair_luminor
-- Count anew for a companion.
UPDATE luminors l SET
    user_count = (SELECT count(*) FROM luminor_relationships b WHERE b.luminor_id = l.id),
    rating_count = r.count, rating_sum = r.points,
    average_rating = CASE WHEN r.count > 0 THEN r.points::numeric / r.count END
FROM (SELECT count(m.user_rating) AS count, coalesce(sum(m.user_rating), 0)::bigint AS points
    FROM luminor_messages m JOIN luminor_conversations c ON c.id = m.conversation_id
    WHERE c.luminor_id = $1) r
WHERE l.id = $1;
