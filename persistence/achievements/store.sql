-- name: lock_players
-- Let what is counted of players be changed by one at a time; in id order, as when games end.
SELECT id FROM players WHERE id = ANY ($1::uuid[]) ORDER BY id FOR NO KEY UPDATE;

-- name: mark_counted
-- Note that games were counted for players; returns those for whom they were not.
INSERT INTO achievement_games (player_id, game_id)
SELECT * FROM unnest($1::uuid[], $2::uuid[]) AS t(player_id, game_id)
ON CONFLICT DO NOTHING RETURNING game_id, player_id;

-- name: add_progress
-- Add what games brought, in this order; an achievement is granted with the game that reaches its steps, and stays granted.
WITH new AS (SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::uuid[],
                                  $7::timestamptz[])
                 WITH ORDINALITY AS t(player_id, ruleset, key, amount, steps, game_id, at, nth)),
     running AS (SELECT n.*, coalesce(a.progress, 0) + sum(n.amount) OVER
                     (PARTITION BY n.player_id, n.ruleset, n.key ORDER BY n.nth) AS progress
                 FROM new n LEFT JOIN player_achievements a USING (player_id, ruleset, key)),
     total AS (SELECT player_id, ruleset, key, max(progress)::bigint AS progress,
                      min(nth) FILTER (WHERE progress >= steps) AS reached
               FROM running GROUP BY player_id, ruleset, key)
INSERT INTO player_achievements AS a (player_id, ruleset, key, progress, granted_at, game_id)
SELECT t.player_id, t.ruleset, t.key, t.progress, r.at, r.game_id
FROM total t LEFT JOIN new r ON r.nth = t.reached
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
