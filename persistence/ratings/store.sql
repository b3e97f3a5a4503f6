-- name: lock_players
-- Lock the people of a game, in id order; bots and who was erased are left out.
SELECT p.id FROM players p WHERE p.id = ANY ($1::uuid[]) AND NOT p.is_bot AND p.erased_at IS NULL
ORDER BY p.id FOR NO KEY UPDATE;

-- name: mark_rated
-- Note that games are rated, in this order, with the next numbers; returns those that were not. Their players are locked.
INSERT INTO rated_games (game_id, ruleset, completed_at)
SELECT g.game_id, $1, g.at FROM unnest($2::uuid[], $3::timestamptz[]) WITH ORDINALITY AS g(game_id, at, nth)
ORDER BY g.nth
ON CONFLICT (game_id) DO NOTHING RETURNING game_id, number;

-- name: ratings_of
-- Read the ratings of some players.
SELECT player_id, rating, deviation, volatility, games, rated_at FROM player_ratings
WHERE ruleset = $1 AND player_id = ANY ($2::uuid[]);

-- name: write_ratings
-- Write ratings over what was there; their players are locked.
INSERT INTO player_ratings (ruleset, player_id, rating, deviation, volatility, games, rated_at)
SELECT $1, t.* FROM unnest($2::uuid[], $3::float8[], $4::float8[], $5::float8[], $6::int[], $7::timestamptz[]) AS t
ON CONFLICT (ruleset, player_id) DO UPDATE SET
    rating = excluded.rating, deviation = excluded.deviation, volatility = excluded.volatility,
    games = excluded.games, rated_at = excluded.rated_at;

-- name: write_changes
-- Write what games did to ratings; the players were not erased meanwhile, as they are locked.
INSERT INTO rating_changes (game_id, player_id, number, ruleset, place, before, rating, deviation, volatility)
SELECT t.game_id, t.player_id, t.number, $1, t.place, t.before, t.rating, t.deviation, t.volatility
FROM unnest($2::uuid[], $3::uuid[], $4::int8[], $5::int[], $6::float8[], $7::float8[], $8::float8[], $9::float8[])
    AS t(game_id, player_id, number, place, before, rating, deviation, volatility)
JOIN players p ON p.id = t.player_id AND p.erased_at IS NULL
ON CONFLICT (game_id, player_id) DO UPDATE SET
    number = excluded.number, place = excluded.place, before = excluded.before, rating = excluded.rating,
    deviation = excluded.deviation, volatility = excluded.volatility;

-- name: player_ratings
-- List a player's ratings, by ruleset.
SELECT ruleset, rating, deviation, volatility, games, rated_at FROM player_ratings
WHERE player_id = $1 AND games > 0 ORDER BY ruleset LIMIT $2;

-- name: has_player
-- Say whether there is such a player.
SELECT EXISTS (SELECT FROM players WHERE id = $1);

-- name: list_changes
-- List what games did to a player's rating, newest first.
SELECT c.number, c.game_id, g.completed_at, c.place, c.before, c.rating, c.deviation
FROM rating_changes c JOIN rated_games g ON g.game_id = c.game_id
WHERE c.player_id = $1 AND c.ruleset = $2 AND c.number < $3 ORDER BY c.number DESC LIMIT $4;

-- name: list_best
-- List players by their rating after a place, from the highest; those who are not on boards are left out.
SELECT r.player_id, p.display_name, r.rating, r.deviation, r.games, r.rated_at
FROM player_ratings r JOIN players p ON p.id = r.player_id
WHERE r.ruleset = $1 AND r.games > 0 AND r.deviation <= $2
  AND r.rating <= $3 AND (r.rating < $3 OR r.player_id > $4)
  AND NOT EXISTS (SELECT FROM board_hidden_players h WHERE h.player_id = r.player_id)
ORDER BY r.rating DESC, r.player_id LIMIT $5;

-- name: rated_rulesets
-- List the rulesets that have rated games.
SELECT ruleset FROM rated_games GROUP BY ruleset ORDER BY ruleset;

-- name: rated_games
-- List a page of the rated games of a ruleset, in the order in which they changed ratings.
SELECT number, game_id, completed_at FROM rated_games WHERE ruleset = $1 AND number > $2 ORDER BY number LIMIT $3;

-- name: changes_of_games
-- Read what some games did to ratings.
SELECT game_id, player_id, place, before, rating, deviation, volatility FROM rating_changes
WHERE game_id = ANY ($1::uuid[]);

-- name: all_ratings
-- Read all ratings of a ruleset.
SELECT player_id, rating, deviation, volatility, games, rated_at FROM player_ratings WHERE ruleset = $1;

-- name: lock_rated
-- Lock everybody who has a rating in a ruleset, in id order, so that it stands still.
SELECT p.id FROM players p WHERE p.id IN (SELECT r.player_id FROM player_ratings r WHERE r.ruleset = $1)
ORDER BY p.id FOR NO KEY UPDATE;

-- name: unrated_games
-- List a page of finished games that should have changed ratings and have not, unless their event is still on its way; in the order in which they entered the history.
SELECT m.seq, m.game_id FROM matches m
WHERE m.seq > $1 AND m.game_id IS NOT NULL AND m.uncounted IS NULL AND m.ruleset = ANY ($2::text[])
  AND NOT EXISTS (SELECT FROM rated_games r WHERE r.game_id = m.game_id)
  AND NOT EXISTS (SELECT FROM match_players mp JOIN players p ON p.id = mp.player_id
      WHERE mp.match_id = m.id AND (p.is_bot OR p.erased_at IS NOT NULL))
  AND NOT EXISTS (SELECT FROM event_outbox o WHERE o.name = 'game.completed' AND o.done_at IS NULL
      AND o.dead_at IS NULL AND o.payload ->> 'game_id' = m.game_id::text)
ORDER BY m.seq LIMIT $3;
