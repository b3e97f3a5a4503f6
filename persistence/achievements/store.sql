-- name: lock_players
-- Let what is counted of players be changed by one at a time; in id order, as when games end.
SELECT id FROM players WHERE id = ANY ($1::uuid[]) ORDER BY id FOR NO KEY UPDATE;

-- name: mark_counted
-- Note that a game was counted for players; returns those for whom it was not.
INSERT INTO achievement_games (player_id, game_id) SELECT unnest($1::uuid[]), $2
ON CONFLICT DO NOTHING RETURNING player_id;

-- name: add_progress
-- Add what a game brought; an achievement is granted when its steps are reached, and stays granted.
WITH new AS (SELECT * FROM unnest($4::uuid[], $5::text[], $6::bigint[], $7::bigint[])
                 AS t(player_id, key, amount, steps)),
     total AS (SELECT n.player_id, n.key, n.amount + coalesce(a.progress, 0) AS progress, n.steps
               FROM new n LEFT JOIN player_achievements a
                 ON a.player_id = n.player_id AND a.ruleset = $1 AND a.key = n.key)
INSERT INTO player_achievements AS a (player_id, ruleset, key, progress, granted_at, game_id)
SELECT t.player_id, $1, t.key, t.progress, CASE WHEN t.progress >= t.steps THEN $2::timestamptz END,
       CASE WHEN t.progress >= t.steps THEN $3::uuid END
FROM total t
ON CONFLICT (player_id, ruleset, key) DO UPDATE SET
    progress = excluded.progress,
    granted_at = coalesce(a.granted_at, excluded.granted_at),
    game_id = CASE WHEN a.granted_at IS NULL THEN excluded.game_id ELSE a.game_id END;

-- name: progress_of
-- Read what a player achieved, by ruleset and key.
SELECT ruleset, key, progress, granted_at, game_id FROM player_achievements
WHERE player_id = $1 AND ($2::text IS NULL OR ruleset = $2) ORDER BY ruleset, key;

-- name: is_player
-- Say whether there is a player.
SELECT EXISTS (SELECT FROM players WHERE id = $1);

-- name: players_after
-- List the next people who played one of these rulesets, by id.
SELECT p.id FROM players p
WHERE p.id > $1 AND NOT p.is_bot AND (
    EXISTS (SELECT FROM match_players mp JOIN matches m ON m.id = mp.match_id
            WHERE mp.player_id = p.id AND m.ruleset = ANY ($2::text[]) AND m.mode = 'server')
    OR EXISTS (SELECT FROM player_achievements a WHERE a.player_id = p.id))
ORDER BY p.id LIMIT $3;

-- name: games_of
-- List the games of a player that count, in the order in which they ended.
SELECT m.game_id, m.ruleset, mp.ended_at, m.id FROM match_players mp JOIN matches m ON m.id = mp.match_id
WHERE mp.player_id = $1 AND m.ruleset = ANY ($2::text[]) AND m.mode = 'server' AND m.uncounted IS NULL
  AND m.game_id IS NOT NULL AND (mp.ended_at, m.id) > ($3, $4::uuid)
ORDER BY mp.ended_at, m.id LIMIT $5;

-- name: clear_progress
-- Forget what was counted of a player, to write it anew.
WITH games AS (DELETE FROM achievement_games WHERE player_id = $1)
DELETE FROM player_achievements WHERE player_id = $1;

-- name: write_progress
-- Write what was counted of a player anew.
INSERT INTO player_achievements (player_id, ruleset, key, progress, granted_at, game_id)
SELECT $1, t.ruleset, t.key, t.progress, t.granted_at, t.game_id
FROM unnest($2::text[], $3::text[], $4::bigint[], $5::timestamptz[], $6::uuid[])
    AS t(ruleset, key, progress, granted_at, game_id);

-- name: write_games
-- Note which games were counted anew.
INSERT INTO achievement_games (player_id, game_id) SELECT $1, unnest($2::uuid[]) ON CONFLICT DO NOTHING;
