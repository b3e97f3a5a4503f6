-- name: count_packages
-- Count the packages, up to a bound.
SELECT count(*) FROM (SELECT FROM content_packages LIMIT $1) AS counted;

-- name: add_package
-- Add a draft, as an editor.
INSERT INTO content_packages (package_id, name, version, kind, channel, locale, release_notes, checksum,
    required_client_version, rollout_percent, size, metadata)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);

-- name: find_package
-- Read a package, as far as it may be seen.
SELECT package_id, name, version, kind, channel, locale, release_notes, checksum, required_client_version,
       rollout_percent, size, metadata, parent_id, status, key, created_at, uploaded_at, released_at,
       withdrawn_at, withdrawn_reason
FROM content_packages WHERE package_id = $1;

-- name: lock_package
-- Read a package, and let one change at a time concern it.
SELECT package_id, name, version, kind, channel, locale, release_notes, checksum, required_client_version,
       rollout_percent, size, metadata, parent_id, status, key, created_at, uploaded_at, released_at,
       withdrawn_at, withdrawn_reason
FROM content_packages WHERE package_id = $1 FOR NO KEY UPDATE;

-- name: list_packages
-- Read packages, newest first, as far as they may be seen.
SELECT package_id, name, version, kind, channel, locale, release_notes, checksum, required_client_version,
       rollout_percent, size, metadata, parent_id, status, key, created_at, uploaded_at, released_at,
       withdrawn_at, withdrawn_reason
FROM content_packages
WHERE ($1::text IS NULL OR name = $1) AND ($2::text IS NULL OR status = $2)
  AND ($3::timestamptz IS NULL OR (created_at, package_id) < ($3, $4::uuid))
ORDER BY created_at DESC, package_id DESC LIMIT $5;

-- name: drafts
-- Read every draft, oldest first.
SELECT package_id, name, version, kind, channel, locale, release_notes, checksum, required_client_version,
       rollout_percent, size, metadata, parent_id, status, key, created_at, uploaded_at, released_at,
       withdrawn_at, withdrawn_reason
FROM content_packages WHERE status = 'draft' ORDER BY created_at, package_id;

-- name: versions_of
-- Read every version of a package in a channel and a locale, as far as they may be seen.
SELECT package_id, name, version, kind, channel, locale, release_notes, checksum, required_client_version,
       rollout_percent, size, metadata, parent_id, status, key, created_at, uploaded_at, released_at,
       withdrawn_at, withdrawn_reason
FROM content_packages WHERE name = $1 AND channel = $2 AND locale = $3;

-- name: change_package
-- Change what editors may change at any time, as an editor.
UPDATE content_packages
SET release_notes = coalesce($2, release_notes), rollout_percent = coalesce($3, rollout_percent)
WHERE package_id = $1 RETURNING package_id;

-- name: delete_package
-- Delete a draft, as an editor.
DELETE FROM content_packages WHERE package_id = $1 RETURNING package_id;

-- name: begin_upload
-- Say where a draft's bytes are about to be; what was there before is thrown away.
UPDATE content_packages SET key = $2, uploaded_at = NULL WHERE package_id = $1 AND status = 'draft'
RETURNING package_id;

-- name: finish_upload
-- Record that a draft's bytes are there, unless another upload began meanwhile.
UPDATE content_packages SET uploaded_at = clock_timestamp()
WHERE package_id = $1 AND key = $2 AND status = 'draft' RETURNING package_id;

-- name: lock_state
-- Let one node at a time release or sign.
INSERT INTO content_state AS s DEFAULT VALUES
ON CONFLICT (is_only) DO UPDATE SET generation = s.generation;

-- name: generation
-- Read whether anything changed.
SELECT coalesce((SELECT generation FROM content_state), 0);

-- name: release_package
-- Release a draft; its delta starts from the version before it.
UPDATE content_packages SET status = 'released', released_at = clock_timestamp(), parent_id = $2
WHERE package_id = $1;

-- name: withdraw_package
-- Withdraw a released package.
UPDATE content_packages SET status = 'withdrawn', withdrawn_at = clock_timestamp(), withdrawn_reason = $2
WHERE package_id = $1;

-- name: catalog
-- Read every package that is or was released.
SELECT package_id, name, version, kind, channel, locale, release_notes, checksum, required_client_version,
       rollout_percent, size, metadata, parent_id, status, key, created_at, uploaded_at, released_at,
       withdrawn_at, withdrawn_reason
FROM content_packages WHERE status <> 'draft';

-- name: made_deltas
-- Read every delta that is there.
SELECT package_id, parent_id, key, size, checksum FROM content_deltas WHERE state = 'made';

-- name: queue_delta
-- Have a delta made.
INSERT INTO content_deltas (package_id, parent_id) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- name: take_delta
-- Take a delta that is due, for so many seconds; after too many attempts it has failed.
UPDATE content_deltas d
SET attempts = d.attempts + 1, due_at = clock_timestamp() + make_interval(secs => $1),
    state = CASE WHEN d.attempts >= $2 THEN 'failed' ELSE d.state END
FROM (SELECT package_id, parent_id FROM content_deltas
      WHERE state = 'due' AND due_at <= clock_timestamp()
      ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED) AS due
WHERE d.package_id = due.package_id AND d.parent_id = due.parent_id
RETURNING d.package_id, d.parent_id, d.attempts, d.state;

-- name: place_delta
-- Say where a delta is about to be; what an earlier attempt left is thrown away.
UPDATE content_deltas SET key = $4
WHERE package_id = $1 AND parent_id = $2 AND attempts = $3 AND state = 'due' RETURNING package_id;

-- name: settle_delta
-- Record how making a delta went.
UPDATE content_deltas SET state = $4, size = $5, checksum = $6
WHERE package_id = $1 AND parent_id = $2 AND attempts = $3 AND state = 'due' RETURNING package_id;

-- name: signing_keys
-- Read the keys that sign.
SELECT role, key_id, sealed FROM playhall_auth.content_keys WHERE retired_at IS NULL;

-- name: add_signing_key
-- Add the key of a role.
INSERT INTO playhall_auth.content_keys (role, key_id, sealed) VALUES ($1, $2, $3);

-- name: retire_signing_key
-- Sign with a key no more.
UPDATE playhall_auth.content_keys SET retired_at = clock_timestamp() WHERE key_id = $1;

-- name: every_signing_key
-- Read every key that is kept.
SELECT role, key_id, sealed FROM playhall_auth.content_keys;

-- name: reseal_signing_key
-- Store a key under another seal, unless it has changed meanwhile.
UPDATE playhall_auth.content_keys SET sealed = $3 WHERE key_id = $1 AND sealed = $2;

-- name: newest_metadata
-- Read the newest signed metadata of each role.
SELECT DISTINCT ON (role) role, version, body, expires_at FROM content_metadata ORDER BY role, version DESC;

-- name: read_metadata
-- Read signed metadata; the newest where no version is named.
SELECT body FROM content_metadata WHERE role = $1 AND ($2::int IS NULL OR version = $2)
ORDER BY version DESC LIMIT 1;

-- name: add_metadata
-- Publish signed metadata.
INSERT INTO content_metadata (role, version, body, expires_at) VALUES ($1, $2, $3, $4);

-- name: clear_metadata
-- Delete old metadata of a role, but for so many versions that clients may be reading. Roots stay for ever.
DELETE FROM content_metadata WHERE role = $1 AND role <> 'root' AND version <= $2 - $3::int;
