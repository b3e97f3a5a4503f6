-- name: add_code
-- Write down a one-time code.
INSERT INTO playhall_auth.codes (code_hash, purpose, user_id, sealed, expires_at, lookup)
VALUES ($1, $2, $3, $4, $5, $6);

-- name: read_code
-- Read what a code is good for, while it is.
SELECT user_id, sealed FROM playhall_auth.codes
WHERE code_hash = $1 AND purpose = $2 AND expires_at > $3;

-- name: find_pending_code
-- Find the newest code that was asked for with an address: one that links it to an account, or one that does not.
SELECT code_hash, user_id, sealed FROM playhall_auth.codes
WHERE lookup = ANY ($1) AND purpose = $2 AND expires_at > $3 AND (user_id IS NOT NULL) = $4
ORDER BY expires_at DESC LIMIT 1;

-- name: spend_code
-- Use a code up: of two at once, one finds it.
DELETE FROM playhall_auth.codes WHERE code_hash = $1 RETURNING code_hash;

-- name: hold_session
-- Keep a session from ending for as long as the transaction lasts; nothing if it has ended.
SELECT id FROM playhall_auth.sessions WHERE id = $1 AND revoked_at IS NULL FOR SHARE;

-- name: find_method
-- Find whose method this is, by any of its indexes; where several match, the first index counts.
SELECT user_id, kind, sealed, password_hash, linked_at FROM playhall_auth.methods
WHERE kind = $1 AND lookup = ANY ($2) ORDER BY array_position($2, lookup) LIMIT 1;

-- name: methods_of
-- Read what somebody signs in with.
SELECT user_id, kind, sealed, password_hash, linked_at FROM playhall_auth.methods
WHERE user_id = $1 ORDER BY linked_at, kind;

-- name: merged_methods_of
-- Read what somebody signs in with, also that of accounts which were merged into theirs.
SELECT m.user_id, m.kind, m.sealed, m.password_hash, m.linked_at
FROM profiles f JOIN playhall_auth.methods m ON m.user_id = f.id
WHERE f.id = $1 OR f.merged_into = $1 ORDER BY m.linked_at, m.kind;

-- name: link_method
-- Link a method to an account, in place of one of the same kind, whose password stays.
INSERT INTO playhall_auth.methods (user_id, kind, lookup, sealed, password_hash)
SELECT $1, $2, $3, $4, coalesce($5, (
  SELECT password_hash FROM playhall_auth.methods WHERE user_id = $1 AND kind = $2))
ON CONFLICT (user_id, kind) DO UPDATE
SET lookup = $3, sealed = $4, linked_at = now(), password_hash = EXCLUDED.password_hash;

-- name: mark_known
-- Somebody who can sign in again is a guest no more.
UPDATE auth.users SET is_anonymous = false, updated_at = now() WHERE id = $1 AND is_anonymous;

-- name: set_password
-- Change a password.
UPDATE playhall_auth.methods SET password_hash = $2 WHERE user_id = $1 AND kind = 'email';

-- name: forget_links
-- Forget the codes that would link something to an account: what it signs in with has changed.
DELETE FROM playhall_auth.codes WHERE user_id = $1;

-- name: end_sessions
-- End every session of somebody, and of the account that theirs was merged into.
UPDATE playhall_auth.sessions SET revoked_at = clock_timestamp()
WHERE revoked_at IS NULL AND user_id IN (
  SELECT id FROM profiles WHERE id = $1 UNION SELECT merged_into FROM profiles WHERE id = $1);

-- name: lock_person
-- Let somebody's methods change one at a time.
SELECT id FROM profiles WHERE id = $1 FOR NO KEY UPDATE;

-- name: unlink_method
-- Take the methods of a kind from an account, and from those that were merged into it.
DELETE FROM playhall_auth.methods WHERE kind = $2 AND user_id IN (
  SELECT id FROM profiles WHERE id = $1 OR merged_into = $1);

-- name: methods_after
-- Read some methods of every account, in order, from after one.
SELECT user_id, kind, lookup, sealed FROM playhall_auth.methods
WHERE (user_id, kind) > ($1, $2) ORDER BY user_id, kind LIMIT $3;

-- name: reseal_method
-- Store a method under another key, unless it has changed meanwhile.
UPDATE playhall_auth.methods SET lookup = $4, sealed = $5
WHERE user_id = $1 AND kind = $2 AND sealed = $3;

-- name: sealed_samples
-- Read a few methods of each key that sealed any: the length of its id, and its id, come second.
SELECT m.user_id, m.kind, m.lookup, m.sealed FROM (
  SELECT DISTINCT substring(sealed FROM 1 FOR 2 + get_byte(sealed, 1)) AS head
  FROM playhall_auth.methods WHERE octet_length(sealed) >= 2) k,
LATERAL (
  SELECT user_id, kind, lookup, sealed FROM playhall_auth.methods
  WHERE substring(sealed FROM 1 FOR octet_length(k.head)) = k.head LIMIT $1) m;

-- name: count_sealed_by
-- Count the methods that a key sealed.
SELECT count(*) FROM playhall_auth.methods
WHERE substring(sealed FROM 2 FOR 1 + octet_length($1::bytea)) = set_byte('\x00', 0, octet_length($1)) || $1;

-- name: forget_sealed_by
-- Delete the methods that a key sealed.
WITH gone AS (
  DELETE FROM playhall_auth.methods
  WHERE substring(sealed FROM 2 FOR 1 + octet_length($1::bytea)) = set_byte('\x00', 0, octet_length($1)) || $1
  RETURNING 1)
SELECT count(*) FROM gone;
