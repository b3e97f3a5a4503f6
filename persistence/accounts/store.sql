-- name: signing_keys
-- Read the keys that are in use, newest first.
SELECT kid, private_pem
FROM playhall_auth.signing_keys WHERE retired_at IS NULL
ORDER BY created_at DESC, kid;

-- name: lock_signing_keys
-- Let one node at a time change the keys; the lock goes with the transaction.
SELECT pg_advisory_xact_lock(hashtext('playhall_auth.signing_keys'));

-- name: add_signing_key
-- Add a key; from now on it is the newest.
INSERT INTO playhall_auth.signing_keys (kid, private_pem, public_pem, created_at)
VALUES ($1, $2, $3, clock_timestamp());

-- name: retire_signing_keys
-- Retire every key but the two newest.
UPDATE playhall_auth.signing_keys SET retired_at = clock_timestamp()
WHERE retired_at IS NULL AND kid NOT IN (
  SELECT kid FROM playhall_auth.signing_keys WHERE retired_at IS NULL
  ORDER BY created_at DESC, kid LIMIT 2);

-- name: retire_keys
-- Retire some keys.
UPDATE playhall_auth.signing_keys SET retired_at = clock_timestamp()
WHERE kid = ANY ($1) AND retired_at IS NULL;

-- name: is_newest_key_older
-- Say whether the key that signs has done so for some seconds.
SELECT coalesce(max(created_at) < clock_timestamp() - make_interval(secs => $1), true)
FROM playhall_auth.signing_keys WHERE retired_at IS NULL;

-- name: retire_outlived_keys
-- Retire keys that another has replaced for some seconds: what they signed has expired.
UPDATE playhall_auth.signing_keys old SET retired_at = clock_timestamp()
WHERE retired_at IS NULL AND EXISTS (
  SELECT FROM playhall_auth.signing_keys new
  WHERE new.created_at > old.created_at
    AND new.created_at < clock_timestamp() - make_interval(secs => $1));

-- name: list_keys
-- Read every key there ever was, newest first, without its private half.
SELECT kid, created_at, retired_at, starts_with(private_pem, 'sealed:') AS is_sealed
FROM playhall_auth.signing_keys ORDER BY created_at DESC, kid;

-- name: replace_private_half
-- Store a key's private half under another seal, unless somebody has done so meanwhile.
UPDATE playhall_auth.signing_keys SET private_pem = $3 WHERE kid = $1 AND private_pem = $2;

-- name: add_guest
-- Make a guest's user, profile, player, session and first refresh token, with the event that announces them, or none of it.
WITH account AS (
  INSERT INTO auth.users (id, is_anonymous) VALUES ($1, true)),
profile AS (
  INSERT INTO profiles (id, username, display_name) VALUES ($1, $3, $4)),
player AS (
  INSERT INTO players (id, user_id, display_name, avatar_seed, color)
  VALUES ($2, $1::uuid::text, $4, $5, $6)),
session AS (
  INSERT INTO playhall_auth.sessions (id, user_id, created_at, method) VALUES ($7, $1, $9, $12)),
event AS (
  INSERT INTO event_outbox (name, version, payload) VALUES ($13, $14, $15))
INSERT INTO playhall_auth.refresh_tokens (token_hash, session_id, issued_at, expires_at, family)
VALUES ($8, $7, $9, $10, $11);

-- name: add_account
-- Make an account's user, profile and player, with the event that announces them, but no session.
WITH account AS (
  INSERT INTO auth.users (id, is_anonymous) VALUES ($1, true)),
profile AS (
  INSERT INTO profiles (id, username, display_name) VALUES ($1, $3, $4)),
event AS (
  INSERT INTO event_outbox (name, version, payload) VALUES ($7, $8, $9))
INSERT INTO players (id, user_id, display_name, avatar_seed, color)
VALUES ($2, $1::uuid::text, $4, $5, $6);

-- name: open_session
-- Open a session with its first refresh token; returns whose it is, nothing for the banned and the deactivated. Whoever
-- signs in to an account that was merged is signed in to the one that it was merged into.
WITH holder AS (
  SELECT p.user_id::uuid, p.id AS player_id, p.display_name
  FROM profiles f
  JOIN profiles stays ON stays.id = coalesce(f.merged_into, f.id)
  JOIN players p ON p.user_id = stays.id::text
  WHERE f.id = $1 AND f.is_active AND stays.is_active AND NOT EXISTS (
    SELECT FROM account_bans b
    WHERE b.user_id IN (f.id, f.merged_into) AND (b.ends_at IS NULL OR b.ends_at > clock_timestamp()))),
session AS (
  INSERT INTO playhall_auth.sessions (id, user_id, created_at, method)
  SELECT $2, user_id, $4, $7 FROM holder),
token AS (
  INSERT INTO playhall_auth.refresh_tokens (token_hash, session_id, issued_at, expires_at, family)
  SELECT $3, $2, $4, $5, $6 FROM holder)
SELECT $2 AS session_id, user_id, player_id, display_name FROM holder;

-- name: active_ban
-- Read why an account may not sign in now.
SELECT reason, ends_at FROM account_bans
WHERE user_id = $1 AND (ends_at IS NULL OR ends_at > clock_timestamp());

-- name: deactivated_by
-- Read who deactivated an account, or the one that it was merged into: staff counts before oneself.
SELECT stays.deactivated_by FROM profiles f
JOIN profiles stays ON stays.id IN (f.id, f.merged_into) AND NOT stays.is_active
WHERE f.id = $1 ORDER BY stays.deactivated_by = 'self' LIMIT 1;

-- name: deactivate_own
-- Deactivate an account for its owner; nothing comes back if it was so before.
UPDATE profiles SET is_active = false, deactivated_by = 'self' WHERE id = $1 AND is_active RETURNING id;

-- name: reactivate_own
-- Reactivate an account, and the one that it was merged into, unless staff deactivated or banned one of them.
UPDATE profiles SET is_active = true
WHERE id IN (SELECT unnest(ARRAY[f.id, f.merged_into]) FROM profiles f WHERE f.id = $1)
    AND deactivated_by = 'self' AND NOT EXISTS (
      SELECT FROM profiles f JOIN profiles other ON other.id IN (f.id, f.merged_into)
      WHERE f.id = $1 AND other.deactivated_by = 'staff') AND NOT EXISTS (
      SELECT FROM profiles f JOIN account_bans b ON b.user_id IN (f.id, f.merged_into)
      WHERE f.id = $1 AND (b.ends_at IS NULL OR b.ends_at > clock_timestamp()))
RETURNING id;

-- name: spend_refresh_token
-- Trade an unused refresh token for its successor, unless its session got too many within some
-- seconds; returns whose it is, or nothing. What the session used longer ago than that is deleted.
WITH spent AS (
  UPDATE playhall_auth.refresh_tokens t SET used_at = $2, successor = $3
  FROM playhall_auth.sessions s
  WHERE t.token_hash = $1 AND t.used_at IS NULL AND t.expires_at > $2
    AND (SELECT count(*) FROM playhall_auth.refresh_tokens r
         WHERE r.session_id = t.session_id
           AND r.issued_at > $2::timestamptz - make_interval(secs => $7)) < $8
    AND s.id = t.session_id AND s.revoked_at IS NULL
    AND NOT EXISTS (SELECT FROM profiles f WHERE f.id = s.user_id AND NOT f.is_active) AND NOT EXISTS (
      SELECT FROM account_bans b
      WHERE b.user_id = s.user_id AND (b.ends_at IS NULL OR b.ends_at > clock_timestamp()))
  RETURNING s.id AS session_id, s.user_id),
issued AS (
  INSERT INTO playhall_auth.refresh_tokens (token_hash, session_id, issued_at, expires_at, family)
  SELECT $4, session_id, $2, $5, $6 FROM spent),
gone AS (
  DELETE FROM playhall_auth.refresh_tokens r USING spent
  WHERE r.session_id = spent.session_id AND r.family IS NOT NULL
    AND r.used_at < $2::timestamptz - make_interval(secs => $7))
SELECT spent.session_id, spent.user_id, p.id AS player_id, p.display_name
FROM spent JOIN players p ON p.user_id = spent.user_id::text;

-- name: find_refresh_token
-- Read a refresh token that could not be spent, to see why.
SELECT s.id AS session_id, s.user_id, p.id AS player_id, p.display_name,
       t.used_at, t.successor AS salt, s.revoked_at IS NOT NULL AS is_ended, t.expires_at,
       (SELECT r.issued_at FROM playhall_auth.refresh_tokens r WHERE r.session_id = t.session_id
        ORDER BY r.issued_at DESC OFFSET $2 - 1 LIMIT 1) + make_interval(secs => $3) AS free_at
FROM playhall_auth.refresh_tokens t
JOIN playhall_auth.sessions s ON s.id = t.session_id
JOIN players p ON p.user_id = s.user_id::text
WHERE t.token_hash = $1;

-- name: session_of_family
-- Find the session that tokens of this family belong to.
SELECT session_id FROM playhall_auth.refresh_tokens WHERE family = $1 LIMIT 1;

-- name: session_statuses
-- Read who sessions belong to, what they were made, and whether they may still use them.
SELECT s.id AS session_id, s.user_id, p.id AS player_id, p.display_name,
       ARRAY(SELECT role FROM account_roles r WHERE r.user_id = s.user_id ORDER BY role) AS roles,
       s.revoked_at IS NOT NULL AS is_ended, b.reason, b.ends_at, f.deactivated_by
FROM playhall_auth.sessions s
JOIN players p ON p.user_id = s.user_id::text
LEFT JOIN profiles f ON f.id = s.user_id
LEFT JOIN account_bans b
  ON b.user_id = s.user_id AND (b.ends_at IS NULL OR b.ends_at > clock_timestamp())
WHERE s.id = ANY ($1::uuid[]);

-- name: account_status
-- Read who an account is, what they were made, and whether they are banned.
SELECT p.id AS player_id, p.display_name,
       ARRAY(SELECT role FROM account_roles r WHERE r.user_id = f.id ORDER BY role) AS roles,
       b.reason, b.ends_at, f.deactivated_by
FROM profiles f
JOIN players p ON p.user_id = f.id::text
LEFT JOIN account_bans b
  ON b.user_id = f.id AND (b.ends_at IS NULL OR b.ends_at > clock_timestamp())
WHERE f.id = $1;

-- name: welcome_person
-- Make the profile and the player of an account that another service keeps, where missing. The profile
-- may have been made without names, when the account was.
WITH profile AS (
  INSERT INTO profiles AS f (id, username, display_name) VALUES ($1, $3, $4)
  ON CONFLICT (id) DO UPDATE SET username = excluded.username,
    display_name = coalesce(f.display_name, excluded.display_name)
  WHERE f.username IS NULL RETURNING id),
event AS (
  INSERT INTO event_outbox (name, version, payload) SELECT $7, $8, $9 FROM profile)
INSERT INTO players (id, user_id, display_name, avatar_seed, color)
VALUES ($2, $1::uuid::text, $4, $5, $6)
ON CONFLICT (user_id) DO NOTHING;

-- name: end_session
-- End a session for good.
UPDATE playhall_auth.sessions SET revoked_at = clock_timestamp()
WHERE id = $1 AND revoked_at IS NULL;

-- name: find_account
-- Read a user's account.
SELECT f.id AS user_id, p.id AS player_id, f.username, p.display_name, p.avatar_seed,
       p.color, playhall_auth.is_guest(f.id) AS is_anonymous, f.created_at,
       total_xp(f.id) AS xp_total, f.preferences, f.arcanean_id, f.tier, f.subscription_status, f.avatar_url, f.bio,
       f.onboarding_completed, f.onboarding_step, f.creation_count, f.follower_count, f.following_count, f.is_verified,
       f.updated_at, f.last_active_at
FROM profiles f
JOIN players p ON p.user_id = f.id::text
WHERE f.id = $1;

-- name: has_members
-- Say whether anybody has an account that is more than a guest's.
SELECT EXISTS (SELECT FROM profiles WHERE NOT playhall_auth.is_guest(id));

-- name: find_username
-- Find whose a username is.
SELECT id FROM profiles WHERE username = $1;
