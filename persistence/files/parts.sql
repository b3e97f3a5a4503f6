-- name: count_uploads
-- Count the uploads that somebody has begun or announced.
SELECT count(*) FROM file_uploads WHERE owner_id = $1 AND expires_at > clock_timestamp();

-- name: read_upload
-- Read an upload of somebody's, how much of it has come, in how many parts, and when it was claimed.
SELECT u.id AS upload_id, u.owner_id, u.match_id, u.bucket, u.path, u.size, u.content_type, u.expires_at,
  p.received, p.parts, u.claimed_at
FROM file_uploads u CROSS JOIN LATERAL (
  SELECT coalesce(max(start + size), 0)::bigint AS received, count(*) AS parts
  FROM file_upload_parts WHERE upload_id = u.id) p
WHERE u.id = $1 AND u.owner_id = $2 AND u.expires_at > clock_timestamp();

-- name: read_finished
-- Read the size of a file that an upload became.
SELECT size FROM files WHERE bucket = $1 AND path = $2 AND key = $3 AND owner_id = $4;

-- name: expect_part
-- Note a part's object before it is written: it is thrown away unless it becomes a part within the hour.
INSERT INTO file_trash (key, thrown_at) VALUES ($1, clock_timestamp() + interval '1 hour');

-- name: discard_part
-- Throw a part's object away now, unless it has become a part.
UPDATE file_trash SET thrown_at = clock_timestamp() WHERE key = $1 RETURNING key;

-- name: add_part
-- Record a part that follows all that has come; nothing if the upload is gone, or has too many parts.
INSERT INTO file_upload_parts (upload_id, start, size, key)
SELECT u.id, $2::bigint, $3::bigint, $4 FROM file_uploads u
WHERE u.id = $1 AND u.claimed_at IS NULL AND u.expires_at > clock_timestamp() AND $2::bigint + $3::bigint <= u.size
  AND (SELECT count(*) FROM file_upload_parts p WHERE p.upload_id = u.id) < $5
RETURNING upload_id;

-- name: keep_object
-- Throw an object away no more: it is a part now.
DELETE FROM file_trash WHERE key = $1;

-- name: parts
-- Read the parts of an upload in their order.
SELECT start, size, key FROM file_upload_parts WHERE upload_id = $1 ORDER BY start;

-- name: claim
-- Let one node put an upload together for some seconds; nothing while another one does.
UPDATE file_uploads
SET claimed_at = clock_timestamp(), expires_at = greatest(expires_at, clock_timestamp() + make_interval(secs => $2))
WHERE id = $1 AND expires_at > clock_timestamp()
  AND (claimed_at IS NULL OR claimed_at < clock_timestamp() - make_interval(secs => $2))
RETURNING id;

-- name: release
-- Let an upload be put together again: it failed for a reason that passes.
UPDATE file_uploads SET claimed_at = NULL WHERE id = $1;
