-- name: count_waiting
-- Count the images that wait, up to a bound, and those of one account.
SELECT (SELECT count(*) FROM (SELECT FROM images WHERE state = 'waiting' LIMIT $1) w)::int AS everyones,
       (SELECT count(*) FROM (
            SELECT FROM files f JOIN images p ON p.file_id = f.id AND p.state = 'waiting'
            WHERE f.owner_id = $2 LIMIT $1) w)::int AS own;

-- name: take
-- Take an image that is due, for so many seconds: the oldest of the account whose turn it is after another's.
WITH due AS (
  SELECT p.file_id, p.due_at, f.owner_id FROM images p JOIN files f ON f.id = p.file_id
  WHERE p.state = 'waiting' AND p.due_at <= clock_timestamp() ORDER BY p.due_at LIMIT 1000),
next AS (
  SELECT p.file_id FROM images p JOIN due d ON d.file_id = p.file_id
  WHERE p.state = 'waiting' AND p.due_at <= clock_timestamp()
  ORDER BY d.owner_id <= $2, d.owner_id, d.due_at LIMIT 1 FOR UPDATE OF p SKIP LOCKED)
UPDATE images p SET due_at = clock_timestamp() + make_interval(secs => $1), attempts = p.attempts + 1
FROM next n, files f WHERE p.file_id = n.file_id AND f.id = p.file_id
RETURNING f.id AS file_id, f.owner_id, f.bucket, f.path, f.key, f.size, f.content_type, p.attempts;

-- name: keep_taken
-- Keep an image that is being worked at for so many seconds more.
UPDATE images SET due_at = clock_timestamp() + make_interval(secs => $2) WHERE file_id = $1 AND state = 'waiting';

-- name: put_back
-- Put an image back that could not be worked at, for so many seconds; it does not count as an attempt.
UPDATE images SET attempts = greatest(attempts - 1, 0), due_at = clock_timestamp() + make_interval(secs => $2)
WHERE file_id = $1 AND state = 'waiting';

-- name: retry
-- Have an image tried again at once.
UPDATE images SET due_at = clock_timestamp() WHERE file_id = $1 AND state = 'waiting';

-- name: throw_away_ahead
-- Note objects that are about to be written: they are deleted after so many seconds, unless they are recorded.
INSERT INTO file_trash (key, thrown_at)
SELECT key, clock_timestamp() + make_interval(secs => $2) FROM unnest($1::text[]) AS key;

-- name: keep_written
-- Keep objects that were written; whichever is missing was deleted, or is being deleted.
DELETE FROM file_trash WHERE key = ANY($1) RETURNING key;

-- name: lock_creation
-- Lock the creation with this file, before the image: as its owner does who links or publishes it.
SELECT FROM creations WHERE file_url = $1 AND user_id = $2 ORDER BY id FOR NO KEY UPDATE;

-- name: lock_image
-- Lock an image that still waits, with the object that was read.
SELECT p.file_id FROM images p JOIN files f ON f.id = p.file_id
WHERE p.file_id = $1 AND f.key = $2 AND p.state = 'waiting' FOR UPDATE OF f, p;

-- name: replace_file
-- Put the image without metadata in the place of the one that was uploaded, for everybody.
UPDATE files SET key = $2, size = $3, sha256 = $4, is_withheld = false, checked_at = clock_timestamp(), lost_at = NULL
WHERE id = $1;

-- name: add_thumbnail
-- Record a thumbnail, unless the account uploaded one; one that was made before is replaced.
INSERT INTO files (owner_id, bucket, path, key, size, content_type, sha256, is_public, made_from)
SELECT $1, 'thumbnails', $2::text || '.webp', $3, $4, 'image/webp', $5, $6, $7
WHERE NOT EXISTS (
  SELECT FROM files o WHERE o.bucket = 'thumbnails' AND o.owner_id = $1 AND o.made_from IS NULL
      AND o.path = ANY (ARRAY[$2 || '.png', $2 || '.jpg', $2 || '.webp']))
ON CONFLICT (bucket, path) DO UPDATE
SET key = excluded.key, size = excluded.size, sha256 = excluded.sha256, is_public = excluded.is_public,
    made_from = excluded.made_from, checked_at = excluded.checked_at, lost_at = NULL
WHERE files.made_from IS NOT NULL
RETURNING id;

-- name: mark_ready
-- Record what an image shows.
UPDATE images SET state = 'ready', width = $2, height = $3, blurhash = $4, error = NULL WHERE file_id = $1;

-- name: mark_failed
-- Record why an image cannot be processed.
UPDATE images SET state = 'failed', error = $3
WHERE file_id = $1 AND state = 'waiting' AND EXISTS (SELECT FROM files f WHERE f.id = $1 AND f.key = $2)
RETURNING file_id;

-- name: tell_creation
-- Have the creation with this file follow it: a trigger reads what came of the image.
WITH before AS (SELECT id, status, published_at FROM creations WHERE file_url = $1 AND user_id = $2 ORDER BY id FOR NO KEY UPDATE)
UPDATE creations c SET file_url = c.file_url, status = c.status, is_public = c.is_public
FROM before b WHERE c.id = b.id
RETURNING c.id AS creation_id, c.user_id, c.status, b.published_at IS NULL AND c.published_at IS NOT NULL AS is_new;

-- name: link_avatar
-- Have an account show this avatar, by a link that names its content, so that caches may keep it for ever. A link
-- to somewhere else is its owner's choice.
UPDATE profiles SET avatar_url = $2::text || '?v=' || $3::text
WHERE id = $1 AND (avatar_url IS NULL OR avatar_url LIKE '/files/avatars/%');

-- name: read_image
-- Read what came of somebody's own image.
SELECT p.state, p.error, p.width, p.height, p.blurhash,
       (SELECT '/files/thumbnails/' || t.path FROM files t WHERE t.made_from = f.id) AS thumbnail_url
FROM files f JOIN images p ON p.file_id = f.id WHERE f.bucket = $1 AND f.path = $2 AND f.owner_id = $3;
