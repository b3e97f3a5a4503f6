-- name: lock_account
-- Let one act at a time concern an account; nothing comes back if there is none.
SELECT id FROM profiles WHERE id = $1 FOR NO KEY UPDATE;

-- name: read_ban
-- Read a ban, also one that has run out.
SELECT reason, ends_at FROM account_bans WHERE user_id = $1;

-- name: ban
-- Ban an account, or change its ban.
INSERT INTO account_bans (user_id, reason, ends_at) VALUES ($1, $2, $3)
ON CONFLICT (user_id) DO UPDATE SET reason = $2, ends_at = $3, banned_at = clock_timestamp();

-- name: lift_ban
-- Take a ban back.
DELETE FROM account_bans WHERE user_id = $1;

-- name: read_deactivation
-- Read who deactivated an account.
SELECT deactivated_by FROM profiles WHERE id = $1;

-- name: deactivate
-- Hide an account and refuse its sign-in, until staff reactivates it.
UPDATE profiles SET is_active = false, deactivated_by = 'staff' WHERE id = $1;

-- name: reactivate
-- Make an account active again.
UPDATE profiles SET is_active = true WHERE id = $1;

-- name: read_roles
-- Read what an account was made.
SELECT role FROM account_roles WHERE user_id = $1 ORDER BY role;

-- name: take_roles
-- Take every role from an account but these.
DELETE FROM account_roles WHERE user_id = $1 AND role <> ALL ($2::text[]);

-- name: give_roles
-- Give an account roles.
INSERT INTO account_roles (user_id, role) SELECT $1, unnest($2::text[]) ON CONFLICT DO NOTHING;

-- name: find_people
-- List accounts by username, after one of them: all, or those with a text. It is a user or player id, the beginning of a username, a part of a display name, a wallet's address, or what the index of an email or of an id at a provider is given of. Names are compared along the index of usernames, so a rare one in many accounts takes as long as reading them.
SELECT f.id AS user_id, p.id AS player_id, f.username, p.display_name, f.created_at,
       ARRAY(SELECT role FROM account_roles r WHERE r.user_id = f.id ORDER BY role) AS roles,
       b.reason AS ban_reason, b.ends_at AS ban_ends_at, f.deactivated_by,
       ARRAY(SELECT kind FROM playhall_auth.methods m WHERE m.user_id = f.id ORDER BY kind) AS methods
FROM profiles f
JOIN players p ON p.user_id = f.id::text
LEFT JOIN account_bans b ON b.user_id = f.id AND (b.ends_at IS NULL OR b.ends_at > now())
WHERE ($1::text IS NULL OR f.id::text = lower($1) OR p.id::text = lower($1)
       OR starts_with(f.username, lower($1)) OR strpos(lower(p.display_name), lower($1)) > 0
       OR f.id IN (SELECT user_id FROM playhall_auth.methods WHERE lookup = ANY ($2))
       OR f.id IN (SELECT user_id FROM wallets WHERE address = lower($1)))
  AND ($3::text IS NULL
       OR f.id IN (SELECT user_id FROM playhall_auth.methods WHERE kind = $3))
  AND ($4::text IS NULL OR f.id IN (SELECT user_id FROM account_roles WHERE role = $4))
  AND (NOT $5::bool OR b.user_id IS NOT NULL)
  AND ($6::text IS NULL OR f.username > $6)
ORDER BY f.username LIMIT $7;

-- name: find_account
-- Find the one account with a user id, a player id, or a username.
SELECT f.id AS user_id, p.id AS player_id, f.username, p.display_name, f.created_at,
       ARRAY(SELECT role FROM account_roles r WHERE r.user_id = f.id ORDER BY role) AS roles,
       b.reason AS ban_reason, b.ends_at AS ban_ends_at, f.deactivated_by,
       ARRAY(SELECT kind FROM playhall_auth.methods m WHERE m.user_id = f.id ORDER BY kind) AS methods
FROM profiles f
JOIN players p ON p.user_id = f.id::text
LEFT JOIN account_bans b ON b.user_id = f.id AND (b.ends_at IS NULL OR b.ends_at > now())
WHERE f.id::text = lower($1) OR p.id::text = lower($1) OR f.username = lower($1)
ORDER BY f.id::text = lower($1) DESC, p.id::text = lower($1) DESC LIMIT 1;

-- name: list_method_kinds
-- List the kinds of sign-in methods that accounts have.
SELECT DISTINCT kind FROM playhall_auth.methods ORDER BY kind LIMIT 100;
