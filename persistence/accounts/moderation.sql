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
-- Find accounts by user id, player id, or the beginning of a username; by the index of an
-- email too.
SELECT f.id AS user_id, p.id AS player_id, f.username, p.display_name, f.created_at,
       ARRAY(SELECT role FROM account_roles r WHERE r.user_id = f.id ORDER BY role) AS roles,
       b.reason AS ban_reason, b.ends_at AS ban_ends_at, f.deactivated_by
FROM profiles f
JOIN players p ON p.user_id = f.id::text
LEFT JOIN account_bans b ON b.user_id = f.id AND (b.ends_at IS NULL OR b.ends_at > now())
WHERE f.id::text = $1 OR p.id::text = $1 OR starts_with(f.username, lower($1))
   OR f.id IN (SELECT user_id FROM playhall_auth.methods WHERE kind = 'email' AND lookup = ANY ($2))
ORDER BY f.username LIMIT $3;
