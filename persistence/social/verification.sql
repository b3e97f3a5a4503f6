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
LATERAL (SELECT coalesce(sum(b.total_interactions), 0)::bigint AS said
    FROM luminor_relationships b WHERE b.luminor_id = l.id) i,
LATERAL (VALUES
    -- What erased people said stays counted, so there may be more than is left.
    ('interaction_count', l.interaction_count, greatest(l.interaction_count, i.said)),
    ('average_rating_thousandths', coalesce(round(l.average_rating * 1000), -1)::bigint,
        CASE WHEN r.count > 0 THEN round(round(r.points::numeric / r.count, 2) * 1000) ELSE -1 END::bigint),
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
    interaction_count = greatest(l.interaction_count, (SELECT coalesce(sum(b.total_interactions), 0)
        FROM luminor_relationships b WHERE b.luminor_id = l.id)),
    user_count = (SELECT count(*) FROM luminor_relationships b WHERE b.luminor_id = l.id),
    rating_count = r.count, rating_sum = r.points,
    average_rating = CASE WHEN r.count > 0 THEN r.points::numeric / r.count END
FROM (SELECT count(m.user_rating) AS count, coalesce(sum(m.user_rating), 0)::bigint AS points
    FROM luminor_messages m JOIN luminor_conversations c ON c.id = m.conversation_id
    WHERE c.luminor_id = $1) r
WHERE l.id = $1;

-- name: list_bonds
-- List some bonds by id.
SELECT id FROM luminor_relationships WHERE id > $1 ORDER BY id LIMIT $2;

-- name: check_bonds
-- Find bonds that are not what their messages and rules make them. Messages of deleted conversations stay
-- counted; bond_xp is below what its level takes, but at level 10; key_memories is 1 for the same ones.
SELECT b.id, n.counter, n.stored, n.counted
FROM luminor_relationships b, LATERAL (VALUES
    ('total_interactions', b.total_interactions::bigint, greatest(b.total_interactions, (
        SELECT count(*) FROM luminor_conversations c JOIN luminor_messages m ON m.conversation_id = c.id
        WHERE c.user_id = b.user_id AND c.luminor_id = b.luminor_id AND m.role = 'user'))),
    ('bond_xp', b.bond_xp::bigint, CASE WHEN b.bond_level >= 10 THEN b.bond_xp
        ELSE least(b.bond_xp, bond_xp_for_next_level(b.bond_level) - 1) END::bigint),
    ('key_memories', (jsonb_path_query_array(b.key_memories, '$[*].id') = coalesce((
        SELECT jsonb_agg(m.id ORDER BY m.importance DESC, m.created_at DESC, m.id)
        FROM (SELECT * FROM luminor_memories k
            WHERE k.user_id = b.user_id AND k.luminor_id = b.luminor_id AND k.superseded_at IS NULL
            ORDER BY k.importance DESC, k.created_at DESC, k.id LIMIT 50) m), '[]'))::int::bigint, 1::bigint)
) n (counter, stored, counted)
WHERE b.id = ANY ($1::uuid[]) AND n.stored <> n.counted ORDER BY b.id, n.counter;

-- name: lock_bond
-- Lock a bond, so that it does not change meanwhile.
SELECT FROM luminor_relationships WHERE id = $1 FOR NO KEY UPDATE;

-- name: repair_bond
-- Count anew for a bond, and list its memories anew.
UPDATE luminor_relationships b SET
    total_interactions = greatest(b.total_interactions, (
        SELECT count(*) FROM luminor_conversations c JOIN luminor_messages m ON m.conversation_id = c.id
        WHERE c.user_id = b.user_id AND c.luminor_id = b.luminor_id AND m.role = 'user')),
    key_memories = coalesce((
        SELECT jsonb_agg(jsonb_build_object('id', m.id, 'type', m.memory_type, 'content', m.content,
            'importance', m.importance, 'source_message_id', m.source_message_id, 'created_at', m.created_at)
            ORDER BY m.importance DESC, m.created_at DESC, m.id)
        FROM (SELECT * FROM luminor_memories k
            WHERE k.user_id = b.user_id AND k.luminor_id = b.luminor_id AND k.superseded_at IS NULL
            ORDER BY k.importance DESC, k.created_at DESC, k.id LIMIT 50) m), '[]')
WHERE b.id = $1;

-- name: raise_bond
-- Raise a bond as far as its XP reach.
SELECT apply_bond_levels(user_id, luminor_id) FROM luminor_relationships WHERE id = $1;
