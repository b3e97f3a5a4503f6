-- name: lock_quota
-- Let an account announce one upload at a time: people's roles have no other locks than their rows.
SELECT FROM profiles WHERE id = $1::uuid FOR NO KEY UPDATE;

-- name: bytes_used
-- Count what an account's files take, with those that are announced.
SELECT (SELECT coalesce(sum(size), 0) FROM files WHERE owner_id = $1)::bigint
     + (SELECT coalesce(sum(size), 0) FROM file_uploads WHERE owner_id = $1)::bigint;

-- name: withdraw_upload
-- Take back an announced upload to a path, if it expired or has not begun.
DELETE FROM file_uploads
WHERE bucket = $1 AND path = $2 AND (claimed_at IS NULL OR expires_at < clock_timestamp());

-- name: is_stored
-- Say whether there is a file at a path.
SELECT EXISTS (SELECT FROM files WHERE bucket = $1 AND path = $2);

-- name: announce_upload
-- Announce somebody's upload.
INSERT INTO file_uploads (id, owner_id, bucket, path, size, content_type, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: announce_replay
-- Announce the replay of a match, unless it has one.
INSERT INTO file_uploads (id, match_id, bucket, path, size, content_type, expires_at)
SELECT $1, m.id, $3, $4, $5, $6, $7 FROM matches m WHERE m.id = $2 AND m.replay_url IS NULL
RETURNING id;

-- name: begin_replay
-- Announce the replay of a match and use it up for so many seconds; nothing if the match has one, or if its path has a file or another upload.
INSERT INTO file_uploads (id, match_id, bucket, path, size, content_type, claimed_at, expires_at)
SELECT $1, m.id, $3, $4, $5, $6, clock_timestamp(), clock_timestamp() + make_interval(secs => $7)
FROM matches m WHERE m.id = $2 AND m.replay_url IS NULL
  AND NOT EXISTS (SELECT FROM files f WHERE f.bucket = $3 AND f.path = $4)
ON CONFLICT DO NOTHING RETURNING id;

-- name: claim_upload
-- Use an upload's URL up, for so many seconds; nothing if it is not good (any more).
UPDATE file_uploads
SET claimed_at = clock_timestamp(), expires_at = clock_timestamp() + make_interval(secs => $2)
WHERE id = $1 AND claimed_at IS NULL AND expires_at > clock_timestamp()
RETURNING id AS upload_id, owner_id, match_id, bucket, path, size, content_type;

-- name: owner_of_upload
-- Read whose upload it is that has not begun; nothing if its URL is not good (any more).
SELECT owner_id FROM file_uploads
WHERE id = $1 AND claimed_at IS NULL AND expires_at > clock_timestamp();

-- name: give_up_upload
-- Forget an upload; what it left behind is thrown away.
DELETE FROM file_uploads WHERE id = $1;

-- name: finish_upload
-- Turn an upload into a file, in the place of the one before; nothing if it is gone. An image is kept from
-- everyone but its owner until it is processed.
WITH done AS (
  DELETE FROM file_uploads WHERE id = $1 RETURNING *),
stored AS (
  INSERT INTO files (owner_id, match_id, bucket, path, key, size, content_type, sha256, is_public, is_withheld)
  SELECT d.owner_id, d.match_id, d.bucket, d.path, $2, d.size, d.content_type, $3,
         $4 AND (d.match_id IS NULL OR coalesce(g.is_public, l.is_public, false)), $5
  FROM done d
  LEFT JOIN matches m ON m.id = d.match_id
  LEFT JOIN games g ON g.id = m.game_id
  LEFT JOIN lobbies l ON l.id = m.lobby_id
  ON CONFLICT (bucket, path) DO UPDATE
  SET key = excluded.key, size = excluded.size, content_type = excluded.content_type,
      sha256 = excluded.sha256, created_at = excluded.created_at, checked_at = excluded.checked_at,
      lost_at = NULL, is_withheld = excluded.is_withheld, is_public = excluded.is_public, made_from = NULL
  RETURNING *),
due AS (
  INSERT INTO images (file_id) SELECT id FROM stored WHERE $5
  ON CONFLICT (file_id) DO UPDATE
  SET state = 'waiting', due_at = excluded.due_at, attempts = 0, error = NULL, width = NULL, height = NULL,
      blurhash = NULL),
undue AS (
  DELETE FROM images p USING stored s WHERE p.file_id = s.id AND NOT $5),
linked AS (
  UPDATE matches m SET replay_url = '/files/' || s.bucket || '/' || s.path
  FROM stored s WHERE m.id = s.match_id)
SELECT id AS file_id, owner_id, bucket, path, key, size, content_type, sha256, is_public, created_at,
       is_withheld
FROM stored;

-- name: list_folder
-- List what is in a folder, files and folders by name, as far as it may be seen; of the topmost one,
-- what is the account's own. A folder has no id.
SELECT DISTINCT ON (name) name, file_id, size, content_type, sha256, created_at
FROM (
  SELECT split_part(rest, '/', 1) AS name, CASE WHEN position('/' IN rest) = 0 THEN id END AS file_id,
    size, content_type, sha256, created_at
  FROM (
    SELECT *, substr(path, length($2) + 1) AS rest FROM files
    WHERE bucket = $1 AND starts_with(path, $2) AND ($2 <> '' OR owner_id = $3)) inside) named
WHERE name <> '' AND ($4 = '' OR position(lower($4) IN lower(name)) > 0)
ORDER BY name, file_id NULLS LAST LIMIT $5 OFFSET $6;

-- name: find_file
-- Read the file at a path, as far as it may be seen.
SELECT id AS file_id, owner_id, bucket, path, key, size, content_type, sha256, is_public, created_at,
       is_withheld
FROM files WHERE bucket = $1 AND path = $2;

-- name: is_in_use
-- Say whether a published creation of whoever asks shows the file at a path.
SELECT is_shown_by_a_creation(auth.uid(), '/files/' || $1::text || '/' || $2::text);

-- name: lock_file
-- Keep a file as it is for as long as the transaction lasts.
SELECT FROM files WHERE id = $1 FOR UPDATE;

-- name: move_file
-- Give a file of somebody's another path, unless a published creation of theirs shows it.
UPDATE files SET path = $3
WHERE id = $1 AND owner_id = $2
  AND NOT is_shown_by_a_creation(owner_id, '/files/' || bucket || '/' || path)
RETURNING id;

-- name: delete_file
-- Delete the file at a path; whose it may be is said by the policies.
DELETE FROM files WHERE bucket = $1 AND path = $2 RETURNING id;

-- name: missing_files
-- Say which of these (bucket/path) are not stored.
SELECT link FROM unnest($1::text[]) AS link
WHERE NOT EXISTS (
  SELECT FROM files
  WHERE bucket = split_part(link, '/', 1) AND path = substr(link, strpos(link, '/') + 1));

-- name: expire_uploads
-- Forget some uploads whose time is over.
DELETE FROM file_uploads WHERE id IN (
  SELECT id FROM file_uploads WHERE expires_at < clock_timestamp()
  ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING id;

-- name: take_trash
-- Take some of the trash, oldest first, that no other node has in hand; not what may still be recorded.
SELECT key FROM file_trash WHERE thrown_at <= clock_timestamp() ORDER BY thrown_at LIMIT $1 FOR UPDATE SKIP LOCKED;

-- name: forget_trash
-- Forget trash whose objects are deleted.
DELETE FROM file_trash WHERE key = ANY($1);

-- name: put_trash_off
-- Put trash at the end of the line, since its objects could not be deleted.
UPDATE file_trash SET thrown_at = clock_timestamp() WHERE key = ANY($1);

-- name: unchecked_files
-- Take some files that were not looked at for so many seconds, as looked at.
UPDATE files SET checked_at = clock_timestamp() WHERE id IN (
  SELECT id FROM files WHERE checked_at < clock_timestamp() - make_interval(secs => $1)
  ORDER BY checked_at LIMIT $2 FOR UPDATE SKIP LOCKED)
RETURNING key;

-- name: mark_lost
-- Say of the files with these keys which are lost, and which are there; returns the newly lost.
UPDATE files SET lost_at = CASE WHEN key = ANY($2) THEN clock_timestamp() END
WHERE key = ANY($1) AND (lost_at IS NOT NULL) <> (key = ANY($2))
RETURNING bucket || '/' || path AS link, lost_at IS NOT NULL AS is_lost;
