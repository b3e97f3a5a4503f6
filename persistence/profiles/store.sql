-- name: find_profile
-- Read what everybody may see of an account, by its id or its username.
SELECT f.id AS user_id, p.id AS player_id, f.username, p.display_name, p.avatar_seed, p.color,
       total_xp(f.id) AS xp_total, f.creation_count, f.follower_count, f.following_count, f.created_at
FROM profiles f JOIN players p ON p.user_id = f.id::text
WHERE f.id = $1 OR f.username = $2;

-- name: is_username_taken
-- Say whether somebody has a username.
SELECT EXISTS (SELECT FROM profiles WHERE username = $1);

-- name: set_username
-- Choose another username.
UPDATE profiles SET username = $2 WHERE id = $1;

-- name: set_display_name
-- Change how somebody is called, as a profile and as a player.
WITH profile AS (
  UPDATE profiles SET display_name = $2 WHERE id = $1)
UPDATE players SET display_name = $2 WHERE user_id = $1::uuid::text;

-- name: set_look
-- Change a player's colour and avatar seed; null leaves one as it is.
UPDATE players SET color = coalesce($2, color), avatar_seed = coalesce($3, avatar_seed)
WHERE user_id = $1::uuid::text;

-- name: set_preferences
-- Keep what a client keeps for its user.
UPDATE profiles SET preferences = $2 WHERE id = $1;
