-- name: lock_players
-- Lock the players of a game, in id order; says who is a bot and who is hidden. Who was erased has no entries.
SELECT p.id, CASE WHEN p.is_bot THEN 'bot' WHEN h.player_id IS NOT NULL THEN 'hidden' ELSE 'person' END AS kind
FROM players p LEFT JOIN board_hidden_players h ON h.player_id = p.id
WHERE p.id = ANY ($1::uuid[]) AND p.erased_at IS NULL
ORDER BY p.id FOR NO KEY UPDATE OF p;

-- name: mark_counted
-- Note that games are counted; returns those that were not.
INSERT INTO board_games (game_id, ruleset, completed_at)
SELECT g.game_id, $1, g.at FROM unnest($2::uuid[], $3::timestamptz[]) AS g(game_id, at)
ON CONFLICT DO NOTHING RETURNING game_id;

-- name: seasons_between
-- List the seasons of a ruleset that a moment between two is in.
SELECT name, starts_at, ends_at FROM ruleset_seasons
WHERE ruleset = $1 AND ends_at > $2 AND starts_at <= $3 ORDER BY name LIMIT $4;

-- name: entries_of
-- Read the entries of some players in some periods.
SELECT statistic, period, player_id, value, games, achieved_at, game_id FROM board_entries
WHERE ruleset = $1 AND statistic = ANY ($2::text[]) AND period = ANY ($3::text[]) AND player_id = ANY ($4::uuid[]);

-- name: write_entries
-- Write entries over what was there; their players are locked.
INSERT INTO board_entries AS e (ruleset, statistic, period, player_id, kind, value, rank_value, games, achieved_at,
    game_id, ends_at)
SELECT $1, t.* FROM unnest($2::text[], $3::text[], $4::uuid[], $5::text[], $6::int8[], $7::int8[], $8::int[],
    $9::timestamptz[], $10::uuid[], $11::timestamptz[]) AS t
ON CONFLICT (ruleset, statistic, period, player_id) DO UPDATE SET
    kind = excluded.kind, value = excluded.value, rank_value = excluded.rank_value, games = excluded.games,
    achieved_at = excluded.achieved_at, game_id = excluded.game_id, ends_at = excluded.ends_at;

-- name: summary_players
-- Read how games went for their players, from their summaries.
SELECT game_id, players FROM game_summaries WHERE game_id = ANY ($1::uuid[]);

-- name: list_entries
-- Read a page of a board after a place, from the best.
SELECT e.player_id, p.display_name, p.is_bot, e.value, e.rank_value, e.games, e.achieved_at
FROM board_entries e JOIN players p ON p.id = e.player_id
WHERE e.ruleset = $1 AND e.statistic = $2 AND e.period = $3 AND e.kind = ANY ($4::text[])
  AND e.rank_value <= $5 AND (e.rank_value < $5 OR (e.achieved_at, e.player_id) > ($6, $7))
ORDER BY e.rank_value DESC, e.achieved_at, e.player_id LIMIT $8;

-- name: list_entries_before
-- Read the places directly before one, the nearest first.
SELECT e.player_id, p.display_name, p.is_bot, e.value, e.rank_value, e.games, e.achieved_at
FROM board_entries e JOIN players p ON p.id = e.player_id
WHERE e.ruleset = $1 AND e.statistic = $2 AND e.period = $3 AND e.kind = ANY ($4::text[])
  AND e.rank_value >= $5 AND (e.rank_value > $5 OR (e.achieved_at, e.player_id) < ($6, $7))
ORDER BY e.rank_value, e.achieved_at DESC, e.player_id DESC LIMIT $8;

-- name: list_entries_of
-- Read a page of a board that has some players alone.
SELECT e.player_id, p.display_name, p.is_bot, e.value, e.rank_value, e.games, e.achieved_at
FROM board_entries e JOIN players p ON p.id = e.player_id
WHERE e.ruleset = $1 AND e.statistic = $2 AND e.period = $3 AND e.kind = ANY ($4::text[])
  AND e.rank_value <= $5 AND (e.rank_value < $5 OR (e.achieved_at, e.player_id) > ($6, $7))
  AND e.player_id = ANY ($9::uuid[])
ORDER BY e.rank_value DESC, e.achieved_at, e.player_id LIMIT $8;

-- name: find_entry
-- Read a player's entry, if the board shows it.
SELECT e.player_id, p.display_name, p.is_bot, e.value, e.rank_value, e.games, e.achieved_at
FROM board_entries e JOIN players p ON p.id = e.player_id
WHERE e.ruleset = $1 AND e.statistic = $2 AND e.period = $3 AND e.kind = ANY ($4::text[]) AND e.player_id = $5;

-- name: count_before
-- Count the entries before a place, and those that are better.
SELECT count(*) AS before, count(*) FILTER (WHERE e.rank_value > $5) AS better FROM board_entries e
WHERE e.ruleset = $1 AND e.statistic = $2 AND e.period = $3 AND e.kind = ANY ($4::text[])
  AND e.rank_value >= $5 AND (e.rank_value > $5 OR (e.achieved_at, e.player_id) < ($6, $7));

-- name: player_statistics
-- Read what a ruleset's games add up to for a player.
SELECT e.statistic, e.value, e.games FROM board_entries e
WHERE e.ruleset = $1 AND e.period = 'all' AND e.player_id = $2 AND e.kind <> 'hidden' ORDER BY e.statistic LIMIT $3;

-- name: list_seasons
-- List the seasons of a ruleset, newest first.
SELECT name, starts_at, ends_at FROM ruleset_seasons WHERE ruleset = $1 ORDER BY starts_at DESC, name LIMIT $2;

-- name: add_season
-- Add a season that has not begun; adds none beyond a bound.
INSERT INTO ruleset_seasons (ruleset, name, starts_at, ends_at)
SELECT $1, $2, $3, $4 WHERE (SELECT count(*) FROM ruleset_seasons o WHERE o.ruleset = $1) < $5
ON CONFLICT DO NOTHING RETURNING name;

-- name: hide_player
-- Take a player off the boards.
INSERT INTO board_hidden_players (player_id) VALUES ($1) ON CONFLICT DO NOTHING;

-- name: show_player
-- Put a player on the boards.
DELETE FROM board_hidden_players WHERE player_id = $1;

-- name: mark_entries
-- Hide or show a player's entries.
UPDATE board_entries SET kind = $2 WHERE player_id = $1 AND kind <> $2;

-- name: is_hidden
-- Say whether a player is hidden.
SELECT EXISTS (SELECT FROM board_hidden_players WHERE player_id = $1);

-- name: delete_ended
-- Delete entries of days and weeks that ended so many seconds ago, the oldest first.
DELETE FROM board_entries WHERE (ruleset, statistic, period, player_id) IN (
    SELECT e.ruleset, e.statistic, e.period, e.player_id FROM board_entries e
    WHERE e.ends_at < clock_timestamp() - make_interval(secs => $1)
    ORDER BY e.ends_at LIMIT $2 FOR UPDATE SKIP LOCKED)
RETURNING player_id;

-- name: uncounted_games
-- List a page of finished games that count and that the boards have not counted, unless their event is still on its way; in id order.
SELECT m.game_id FROM matches m
WHERE m.game_id > $1 AND m.uncounted IS NULL AND m.ruleset = ANY ($2::text[])
  AND NOT EXISTS (SELECT FROM board_games b WHERE b.game_id = m.game_id)
  AND NOT EXISTS (SELECT FROM event_outbox o WHERE o.name = 'game.completed' AND o.done_at IS NULL
      AND o.dead_at IS NULL AND o.payload ->> 'game_id' = m.game_id::text)
ORDER BY m.game_id LIMIT $3;

-- name: players_on_boards
-- List a page of the players who have entries or finished a counted game, in id order; who was erased has none.
SELECT p.id FROM players p WHERE p.id > $1 AND p.erased_at IS NULL AND (
    EXISTS (SELECT FROM board_entries e WHERE e.player_id = p.id)
    OR EXISTS (SELECT FROM match_players mp JOIN matches m ON m.id = mp.match_id
               JOIN board_games b ON b.game_id = m.game_id WHERE mp.player_id = p.id))
ORDER BY p.id LIMIT $2;

-- name: counted_games_of
-- List the games of a player that the boards have counted, after one of them; in id order.
SELECT b.game_id FROM board_games b JOIN matches m ON m.game_id = b.game_id
JOIN match_players mp ON mp.match_id = m.id AND mp.player_id = $1
WHERE b.game_id > $2 ORDER BY b.game_id LIMIT $3;

-- name: all_entries_of
-- Read all entries of a player.
SELECT ruleset, statistic, period, value, games, achieved_at, game_id, kind, ends_at FROM board_entries WHERE player_id = $1;

-- name: all_seasons
-- List the seasons of all rulesets.
SELECT ruleset, name, starts_at, ends_at FROM ruleset_seasons ORDER BY ruleset, name;

-- name: delete_entries_of
-- Delete all entries of a player, who is locked, before they are written again.
DELETE FROM board_entries WHERE player_id = $1;
