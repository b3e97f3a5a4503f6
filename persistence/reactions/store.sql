-- name: set_like
-- Like a creation, or take that back; false if it was so already.
SELECT set_like($1, $2, $3);

-- name: set_likes
-- Like a creation for several people, and take back the likes of others; nothing for those who cannot.
SELECT user_id, is_changed, like_count FROM set_likes($1, $2, $3);

-- name: count_likes
-- Read how many people like a creation that may be seen.
SELECT like_count FROM creations WHERE id = $1;

-- name: may_see_creation
-- Say whether a creation may be seen.
SELECT EXISTS (SELECT FROM creations WHERE id = $1);

-- name: add_comment
-- Add a comment.
INSERT INTO comments (id, user_id, creation_id, content, parent_comment_id) VALUES ($1, $2, $3, $4, $5);

-- name: read_comment
-- Read a comment that may be seen.
SELECT k.id AS comment_id, k.creation_id, k.user_id, p.username, p.display_name, p.avatar_url, k.content,
       k.parent_comment_id, k.depth, k.is_edited, k.deleted_at IS NOT NULL AS is_deleted,
       k.removed_at IS NOT NULL AS is_removed, k.like_count,
       EXISTS (SELECT FROM comment_likes l WHERE l.comment_id = k.id AND l.user_id = $2) AS user_has_liked,
       k.created_at, k.updated_at
FROM comments k LEFT JOIN profiles p ON p.id = k.user_id
WHERE k.id = $1;

-- name: list_comments
-- List comments on a creation after one of them, oldest first.
SELECT k.id AS comment_id, k.creation_id, k.user_id, p.username, p.display_name, p.avatar_url, k.content,
       k.parent_comment_id, k.depth, k.is_edited, k.deleted_at IS NOT NULL AS is_deleted,
       k.removed_at IS NOT NULL AS is_removed, k.like_count,
       EXISTS (SELECT FROM comment_likes l WHERE l.comment_id = k.id AND l.user_id = $2) AS user_has_liked,
       k.created_at, k.updated_at
FROM comments k LEFT JOIN profiles p ON p.id = k.user_id
WHERE k.creation_id = $1 AND (k.created_at, k.id) > ($3, $4)
ORDER BY k.created_at, k.id LIMIT $5;

-- name: list_replies
-- List replies to a comment after one of them, oldest first.
SELECT k.id AS comment_id, k.creation_id, k.user_id, p.username, p.display_name, p.avatar_url, k.content,
       k.parent_comment_id, k.depth, k.is_edited, k.deleted_at IS NOT NULL AS is_deleted,
       k.removed_at IS NOT NULL AS is_removed, k.like_count,
       EXISTS (SELECT FROM comment_likes l WHERE l.comment_id = k.id AND l.user_id = $2) AS user_has_liked,
       k.created_at, k.updated_at
FROM comments k LEFT JOIN profiles p ON p.id = k.user_id
WHERE k.creation_id = $1 AND k.parent_comment_id = $6 AND (k.created_at, k.id) > ($3, $4)
ORDER BY k.created_at, k.id LIMIT $5;

-- name: edit_comment
-- Change what somebody's own comment says.
UPDATE comments SET content = $3 WHERE id = $1 AND user_id = $2 RETURNING id;

-- name: delete_comment
-- Delete somebody's own comment; false if there is none.
SELECT delete_comment($1, $2);

-- name: like_comment
-- Like a comment; nothing if it was liked already.
INSERT INTO comment_likes (user_id, comment_id) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING comment_id;

-- name: unlike_comment
-- Take a like of a comment back; nothing if there was none.
DELETE FROM comment_likes WHERE user_id = $1 AND comment_id = $2 RETURNING comment_id;
