-- name: add_creation
-- Add a draft; adds none beyond a bound.
INSERT INTO creations (id, user_id, title, description, type, ai_tool, prompt, model, generation_params, seed,
                       metadata, is_nsfw, license, allow_remix, allow_commercial, tags, categories, remix_of)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18
WHERE (SELECT count(*) FROM creations o WHERE o.user_id = $2) < $19
RETURNING id;

-- name: read_creation
-- Read a creation that may be seen, with what it was made of as far as that may be seen.
SELECT c.id AS creation_id, c.user_id, p.username, p.display_name, p.avatar_url, c.title, c.description, c.type,
       c.file_url, c.thumbnail_url, c.blurhash, c.ai_tool, c.is_featured, c.is_nsfw, c.license, c.allow_remix,
       c.allow_commercial, c.tags, c.categories, c.view_count, c.like_count, c.comment_count, c.remix_count,
       c.remix_of, EXISTS (SELECT FROM likes l WHERE l.creation_id = c.id AND l.user_id = $2) AS user_has_liked,
       c.created_at, c.updated_at, c.published_at, c.status, c.is_public, c.removed_at IS NOT NULL AS is_removed,
       c.file_state, c.file_error, c.file_size, c.file_format, c.width, c.height, c.prompt, c.model, c.generation_params, c.seed, c.metadata,
       o.id AS original_id, o.user_id AS original_user_id, q.username AS original_username,
       q.display_name AS original_display_name, o.title AS original_title, o.license AS original_license
FROM creations c
LEFT JOIN profiles p ON p.id = c.user_id
LEFT JOIN creations o ON o.id = c.remix_of
LEFT JOIN profiles q ON q.id = o.user_id
WHERE c.id = $1;

-- name: list_own
-- List somebody's own creations of a status or all, newest first.
SELECT c.id AS creation_id, c.user_id, p.username, p.display_name, p.avatar_url, c.title, c.description, c.type,
       c.file_url, c.thumbnail_url, c.blurhash, c.ai_tool, c.is_featured, c.is_nsfw, c.license, c.allow_remix,
       c.allow_commercial, c.tags, c.categories, c.view_count, c.like_count, c.comment_count, c.remix_count,
       c.remix_of, EXISTS (SELECT FROM likes l WHERE l.creation_id = c.id AND l.user_id = $1) AS user_has_liked,
       c.created_at, c.updated_at, c.published_at, c.status, c.is_public, c.removed_at IS NOT NULL AS is_removed,
       c.file_state, c.file_error
FROM creations c LEFT JOIN profiles p ON p.id = c.user_id
WHERE c.user_id = $1 AND ($2::text IS NULL OR c.status = $2) AND (c.created_at, c.id) < ($3, $4)
ORDER BY c.created_at DESC, c.id DESC LIMIT $5;

-- name: lock_own
-- Lock somebody's own creation, and read what decides about it; a file that was deleted since is none.
SELECT title, description, type, ai_tool, prompt, model, generation_params, seed, metadata, is_public, is_nsfw,
       license, allow_remix, allow_commercial, tags, categories, remix_of, status,
       CASE WHEN file_url NOT LIKE '/files/creations/%' OR EXISTS (
           SELECT FROM files f WHERE f.bucket = 'creations' AND f.path = substr(file_url, 18)) THEN file_url END,
       published_at
FROM creations WHERE id = $1 AND user_id = $2 FOR NO KEY UPDATE;

-- name: lock_own_to_delete
-- Lock somebody's own creation whole: a weaker lock would be made stronger by the deletion, which waits for those who wait for it.
SELECT FROM creations WHERE id = $1 AND user_id = $2 FOR UPDATE;
-- name: lock_editable
-- Lock a creation that whoever asks may change, as its owner or as an editor of the draft: the policies say so.
SELECT title, description, type, ai_tool, prompt, model, generation_params, seed, metadata, is_public, is_nsfw,
       license, allow_remix, allow_commercial, tags, categories, remix_of, status, file_url,
       published_at
FROM creations WHERE id = $1 FOR NO KEY UPDATE;

-- name: update_creation
-- Change what somebody says about a creation that they may change.
UPDATE creations SET title = $2, description = $3, ai_tool = $4, prompt = $5, model = $6, generation_params = $7,
    seed = $8, metadata = $9, is_public = $10, is_nsfw = $11, license = $12, allow_remix = $13,
    allow_commercial = $14, tags = $15, categories = $16
WHERE id = $1;

-- name: publish
-- Publish somebody's own creation.
SELECT publish_creation($1, $2);

-- name: archive
-- Archive somebody's own creation.
SELECT archive_creation($1, $2);

-- name: begin_processing
-- Note that a file of a draft is being uploaded.
UPDATE creations SET status = 'processing' WHERE id = $1 AND user_id = $2 AND status = 'draft';

-- name: find_files
-- Find the stored files of a creation: the newest of each bucket, by how their paths begin.
SELECT DISTINCT ON (bucket) bucket, path, size, content_type FROM files
WHERE owner_id = $1 AND (bucket = 'creations' AND starts_with(path, $2)
                         OR bucket = 'thumbnails' AND starts_with(path, $3))
ORDER BY bucket, created_at DESC;

-- name: attach_files
-- Link the stored files of a creation; a draft whose file was uploaded is a draft again.
UPDATE creations SET file_url = coalesce($3, file_url), file_size = coalesce($4, file_size),
    file_format = coalesce($5, file_format), thumbnail_url = coalesce($6, thumbnail_url),
    status = CASE status WHEN 'processing' THEN 'draft' ELSE status END
WHERE id = $1 AND user_id = $2;

-- name: delete_files
-- Delete the files of somebody's own creation, by how their paths begin.
DELETE FROM files
WHERE owner_id = $1 AND (bucket = 'creations' AND starts_with(path, $2)
                         OR bucket = 'thumbnails' AND starts_with(path, $3));

-- name: delete_creation
-- Delete somebody's own creation.
DELETE FROM creations WHERE id = $1 AND user_id = $2 RETURNING status;

-- name: count_view
-- Count a view, once per viewer and day.
SELECT increment_creation_views($1);

-- name: count_anonymous_view
-- Count a view without an account, once per network and day; the network itself is not stored.
SELECT count_anonymous_view($1, $2);
-- name: list_days
-- Count each day of a range: of one creation, or of all that somebody has.
SELECT s.day::date AS day, coalesce(sum(d.view_count), 0)::bigint AS views,
       coalesce(sum(d.like_count), 0)::bigint AS likes, coalesce(sum(d.comment_count), 0)::bigint AS comments,
       coalesce(sum(d.remix_count), 0)::bigint AS remixes
FROM generate_series($3::date, $4::date, interval '1 day') AS s (day)
LEFT JOIN creation_days d ON d.day = s.day::date AND d.creation_id IN (
    SELECT c.id FROM creations c WHERE c.user_id = $1 AND ($2::uuid IS NULL OR c.id = $2))
GROUP BY 1 ORDER BY 1;

-- name: read_terms
-- Read what the original of a remix allows, whether or not its remixer may see it now.
SELECT user_id, license, allow_commercial FROM creations WHERE id = $1;

-- name: flush_views
-- Add up to so many views that were not counted yet to their creations.
SELECT flush_creation_views($1);

-- name: delete_views
-- Delete some views that were counted, of days that are over.
DELETE FROM creation_views WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM creation_views
    WHERE day < (now() AT TIME ZONE 'UTC')::date AND is_counted
    ORDER BY day LIMIT $1 FOR UPDATE SKIP LOCKED))
RETURNING creation_id;

-- name: delete_salts
-- Delete some secrets of days that are over.
DELETE FROM view_salts WHERE day IN (
    SELECT day FROM view_salts WHERE day < (now() AT TIME ZONE 'UTC')::date ORDER BY day LIMIT $1)
RETURNING day;
