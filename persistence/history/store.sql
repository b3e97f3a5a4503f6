-- name: game_summary
-- Read a finished game's summary; that of a private game only for those who played it.
SELECT g.id AS game_id, s.players, s.rounds, s.final_scores, s.highest_bid, s.highest_score,
       s.lowest_score, s.most_consecutive_wins, s.most_consecutive_losses, s.highest_misplay,
       to_char(s.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS created_at
FROM games g JOIN game_summaries s ON s.game_id = g.id
WHERE g.id = $1 AND (g.is_public OR EXISTS (
  SELECT FROM matches m JOIN match_players mine ON mine.match_id = m.id
  WHERE m.game_id = g.id AND mine.player_id = $2));

-- name: player_stats
-- Read a player's statistics, over all games or in one ruleset (one of the two rows is null): zeros before the first of these games is over.
SELECT p.id AS player_id, $2::text AS ruleset, p.display_name, p.is_bot,
       coalesce(l.games_played, r.games_played, 0) AS games_played,
       coalesce(l.games_won, r.games_won, 0) AS games_won,
       coalesce(coalesce(l.games_won, r.games_won)::float8
                / nullif(coalesce(l.games_played, r.games_played), 0), 0) AS win_rate,
       coalesce(l.highest_score, r.highest_score) AS highest_score,
       coalesce(l.lowest_score, r.lowest_score) AS lowest_score,
       coalesce(l.total_points, r.total_points, 0) AS total_points,
       coalesce(l.total_tricks_won, r.total_tricks_won, 0) AS total_tricks_won,
       coalesce(l.most_consecutive_wins, r.most_consecutive_wins, 0) AS most_consecutive_wins,
       coalesce(l.most_consecutive_losses, r.most_consecutive_losses, 0) AS most_consecutive_losses,
       coalesce(l.current_win_streak, r.current_win_streak, 0) AS current_win_streak,
       coalesce(l.current_loss_streak, r.current_loss_streak, 0) AS current_loss_streak,
       to_char(coalesce(l.last_game_at, r.last_game_at) AT TIME ZONE 'UTC',
               'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS last_game_at
FROM players p
LEFT JOIN player_lifetime_stats l ON l.player_id = p.id AND $2::text IS NULL
LEFT JOIN player_ruleset_stats r ON r.player_id = p.id AND r.ruleset = $2
WHERE p.id = $1;

-- name: player_exists
-- Say whether there is such a player.
SELECT EXISTS (SELECT FROM players WHERE id = $1);

-- name: player_matches
-- Read a page of a player's history, newest first; private games only for those who played them.
SELECT m.id AS match_id, m.game_id, m.mode, m.ruleset, m.started_at, theirs.ended_at, m.winner_id,
       m.replay_url, m.uncounted, seats.players
FROM match_players theirs
JOIN matches m ON m.id = theirs.match_id
LEFT JOIN games g ON g.id = m.game_id
LEFT JOIN lobbies l ON l.id = m.lobby_id
CROSS JOIN LATERAL (
  SELECT jsonb_agg(jsonb_build_object(
           'player_id', mp.player_id, 'display_name', p.display_name, 'is_bot', p.is_bot,
           'seat', mp.seat, 'score', mp.score, 'is_winner', mp.is_winner,
           'forfeited', mp.forfeited)
         ORDER BY mp.seat, mp.player_id) AS players
  FROM match_players mp JOIN players p ON p.id = mp.player_id WHERE mp.match_id = m.id) seats
WHERE theirs.player_id = $1
  AND theirs.ended_at <= $3 AND (theirs.ended_at < $3 OR theirs.match_id > $4)
  AND (coalesce(g.is_public, l.is_public) IS NOT FALSE OR EXISTS (
    SELECT FROM match_players mine WHERE mine.match_id = m.id AND mine.player_id = $2))
ORDER BY theirs.ended_at DESC, theirs.match_id LIMIT $5;

-- name: lobby_is_visible
-- Say whether a lobby's history may be read: of a public one by all, of a private one by those in it or who played in it.
SELECT EXISTS (
  SELECT FROM lobbies l WHERE l.id = $1 AND (l.is_public
    OR EXISTS (SELECT FROM lobby_members m WHERE m.lobby_id = l.id AND m.player_id = $2)
    OR EXISTS (SELECT FROM matches m JOIN match_players mine ON mine.match_id = m.id
               WHERE m.lobby_id = ANY (ARRAY(SELECT l.id UNION ALL SELECT t.id FROM lobbies t WHERE t.table_of = l.id))
                 AND mine.player_id = $2)));

-- name: lobby_matches
-- Read a page of what was played in a lobby and at its tables, newest first.
SELECT m.id AS match_id, m.game_id, m.mode, m.ruleset, m.started_at, m.ended_at, m.winner_id,
       m.replay_url, m.uncounted, seats.players
FROM matches m
CROSS JOIN LATERAL (
  SELECT jsonb_agg(jsonb_build_object(
           'player_id', mp.player_id, 'display_name', p.display_name, 'is_bot', p.is_bot,
           'seat', mp.seat, 'score', mp.score, 'is_winner', mp.is_winner,
           'forfeited', mp.forfeited)
         ORDER BY mp.seat, mp.player_id) AS players
  FROM match_players mp JOIN players p ON p.id = mp.player_id WHERE mp.match_id = m.id) seats
WHERE m.lobby_id = ANY (ARRAY(SELECT $1::uuid UNION ALL SELECT t.id FROM lobbies t WHERE t.table_of = $1))
  AND m.ended_at <= $2 AND (m.ended_at < $2 OR m.id > $3)
ORDER BY m.ended_at DESC, m.id LIMIT $4;

-- name: find_match
-- Read one match; that of a private game only for those who played it.
SELECT m.id AS match_id, m.game_id, m.mode, m.ruleset, m.started_at, m.ended_at, m.winner_id,
       m.replay_url, m.uncounted, seats.players
FROM matches m
LEFT JOIN games g ON g.id = m.game_id
LEFT JOIN lobbies l ON l.id = m.lobby_id
CROSS JOIN LATERAL (
  SELECT jsonb_agg(jsonb_build_object(
           'player_id', mp.player_id, 'display_name', p.display_name, 'is_bot', p.is_bot,
           'seat', mp.seat, 'score', mp.score, 'is_winner', mp.is_winner,
           'forfeited', mp.forfeited)
         ORDER BY mp.seat, mp.player_id) AS players
  FROM match_players mp JOIN players p ON p.id = mp.player_id WHERE mp.match_id = m.id) seats
WHERE m.id = $1
  AND (coalesce(g.is_public, l.is_public) IS NOT FALSE OR EXISTS (
    SELECT FROM match_players mine WHERE mine.match_id = m.id AND mine.player_id = $2));

-- name: leaderboard_wins
-- List players by games won, from the most.
SELECT s.player_id, p.display_name, p.is_bot, s.games_won::float8 AS value, s.games_played
FROM player_lifetime_stats s JOIN players p ON p.id = s.player_id
WHERE s.games_played >= $1 AND ($2 OR NOT p.is_bot)
ORDER BY s.games_won DESC, s.player_id LIMIT $3;

-- name: leaderboard_win_rate
-- List players by the share of their games that they won.
SELECT s.player_id, p.display_name, p.is_bot,
       s.games_won::float8 / s.games_played AS value, s.games_played
FROM player_lifetime_stats s JOIN players p ON p.id = s.player_id
WHERE s.games_played > 0 AND s.games_played >= $1 AND ($2 OR NOT p.is_bot)
ORDER BY s.games_won::float8 / s.games_played DESC, s.player_id LIMIT $3;

-- name: leaderboard_highest_score
-- List players by their best game.
SELECT s.player_id, p.display_name, p.is_bot, s.highest_score::float8 AS value, s.games_played
FROM player_lifetime_stats s JOIN players p ON p.id = s.player_id
WHERE s.highest_score IS NOT NULL AND s.games_played >= $1 AND ($2 OR NOT p.is_bot)
ORDER BY s.highest_score DESC, s.player_id LIMIT $3;

-- name: leaderboard_total_tricks
-- List players by all the tricks that they took.
SELECT s.player_id, p.display_name, p.is_bot, s.total_tricks_won::float8 AS value, s.games_played
FROM player_lifetime_stats s JOIN players p ON p.id = s.player_id
WHERE s.games_played >= $1 AND ($2 OR NOT p.is_bot)
ORDER BY s.total_tricks_won DESC, s.player_id LIMIT $3;

-- name: leaderboard_wins_in_ruleset
-- The same in one ruleset.
SELECT s.player_id, p.display_name, p.is_bot, s.games_won::float8 AS value, s.games_played
FROM player_ruleset_stats s JOIN players p ON p.id = s.player_id
WHERE s.ruleset = $4 AND s.games_played >= $1 AND ($2 OR NOT p.is_bot)
ORDER BY s.games_won DESC, s.player_id LIMIT $3;

-- name: leaderboard_win_rate_in_ruleset
-- The same in one ruleset.
SELECT s.player_id, p.display_name, p.is_bot,
       s.games_won::float8 / s.games_played AS value, s.games_played
FROM player_ruleset_stats s JOIN players p ON p.id = s.player_id
WHERE s.ruleset = $4 AND s.games_played > 0 AND s.games_played >= $1 AND ($2 OR NOT p.is_bot)
ORDER BY s.games_won::float8 / s.games_played DESC, s.player_id LIMIT $3;

-- name: leaderboard_highest_score_in_ruleset
-- The same in one ruleset.
SELECT s.player_id, p.display_name, p.is_bot, s.highest_score::float8 AS value, s.games_played
FROM player_ruleset_stats s JOIN players p ON p.id = s.player_id
WHERE s.ruleset = $4 AND s.highest_score IS NOT NULL AND s.games_played >= $1 AND ($2 OR NOT p.is_bot)
ORDER BY s.highest_score DESC, s.player_id LIMIT $3;

-- name: leaderboard_total_tricks_in_ruleset
-- The same in one ruleset.
SELECT s.player_id, p.display_name, p.is_bot, s.total_tricks_won::float8 AS value, s.games_played
FROM player_ruleset_stats s JOIN players p ON p.id = s.player_id
WHERE s.ruleset = $4 AND s.games_played >= $1 AND ($2 OR NOT p.is_bot)
ORDER BY s.total_tricks_won DESC, s.player_id LIMIT $3;
