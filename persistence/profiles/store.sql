-- name: find_profile
-- Read what everybody may see of an account, by its id, its player's or its username.
SELECT f.id AS user_id, p.id AS player_id, f.username, p.display_name, p.avatar_seed, p.color,
       total_xp(f.id) AS xp_total, f.created_at, f.arcanean_id, f.tier, f.avatar_url, f.bio, f.creation_count,
       f.follower_count, f.following_count, f.is_verified
FROM profiles f JOIN players p ON p.user_id = f.id::text
WHERE f.id = $1 OR f.username = $2
   OR f.id = (SELECT played.user_id::uuid FROM players played WHERE played.id = $1);

-- name: is_username_taken
-- Say whether somebody has a username, also one who cannot be seen.
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

-- name: set_about
-- Change what somebody shows of themselves; null leaves one as it is, an empty picture is none.
UPDATE profiles SET avatar_url = CASE WHEN $2::text IS NULL THEN avatar_url ELSE nullif($2, '') END,
    bio = coalesce($3, bio)
WHERE id = $1;

-- name: set_onboarding_completed
-- Note whether somebody has seen the introduction.
UPDATE profiles SET onboarding_completed = $2 WHERE id = $1;

-- name: set_onboarding_step
-- Note how far somebody came in the introduction.
UPDATE profiles SET onboarding_step = $2 WHERE id = $1;

-- name: list_people
-- Read a page of people by followers or newest first: all, or those with a name.
SELECT * FROM list_people($1, $2, $3, $4, $5, $6);

-- name: set_preferences
-- Keep what a client keeps for its user.
UPDATE profiles SET preferences = $2 WHERE id = $1;
