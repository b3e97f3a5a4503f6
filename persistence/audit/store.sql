-- name: audited_game
-- Read one game's row, why it was set aside if it was, and why an operator ended it if one did.
SELECT id, ruleset, ruleset_version, session_seed AS seed, config, status, lobby_id, is_public,
       owner_epoch, next_event_index, quarantined_at IS NOT NULL AS quarantined,
       created_at, started_at, completed_at, quarantine_reason, end_reason
FROM games WHERE id = $1;

-- name: audited_events
-- Read a game's whole log in order, whatever its head says.
SELECT event_index, type, payload, created_at, hash
FROM game_events WHERE game_id = $1 ORDER BY event_index;

-- name: audited_summary
-- Read a finished game's summary.
SELECT players, rounds, final_scores, highest_bid, highest_score, lowest_score,
       most_consecutive_wins, most_consecutive_losses, highest_misplay
FROM game_summaries WHERE game_id = $1;

-- name: audited_match
-- Read a game's history record.
SELECT mode, ruleset, lobby_id, started_at, ended_at, winner_id, uncounted
FROM matches WHERE game_id = $1;

-- name: audited_match_players
-- Read who took part in a game, by its history record.
SELECT mp.player_id, mp.seat, mp.score, mp.is_winner, mp.ended_at, mp.forfeited
FROM matches m JOIN match_players mp ON mp.match_id = m.id
WHERE m.game_id = $1 ORDER BY mp.seat, mp.player_id;

-- name: newest_here
-- List the players of a game who have finished no other since; who was erased has no statistics.
SELECT mp.player_id FROM matches m JOIN match_players mp ON mp.match_id = m.id
JOIN players p ON p.id = mp.player_id AND p.erased_at IS NULL
WHERE m.game_id = $1 AND NOT EXISTS (
    SELECT FROM match_players other JOIN matches later ON later.id = other.match_id
    WHERE other.player_id = mp.player_id AND later.game_id IS NOT NULL AND later.seq > m.seq)
ORDER BY mp.player_id;

-- name: games_since
-- List a page of the games made since a time, oldest first, after one of them.
SELECT g.id, g.created_at FROM games g
WHERE (g.created_at, g.id) > ($1, $2) ORDER BY g.created_at, g.id LIMIT $3;

-- name: counted_games
-- List a player's finished games after one of them that count, in the order in which they entered the statistics.
SELECT m.seq, m.game_id, m.ruleset, CASE WHEN NOT mp.forfeited THEN mp.score END AS score,
       CASE WHEN mp.forfeited THEN 0
            ELSE (s.players -> mp.seat::int ->> 'tricks_won')::int END AS tricks_won,
       mp.is_winner, mp.ended_at
FROM match_players mp JOIN matches m ON m.id = mp.match_id
LEFT JOIN game_summaries s ON s.game_id = m.game_id
WHERE mp.player_id = $1 AND m.game_id IS NOT NULL AND m.uncounted IS NULL AND m.seq > $2
ORDER BY m.seq;

-- name: lifetime
-- Read a player's lifetime statistics.
SELECT games_played, games_won, highest_score, lowest_score, total_points, total_tricks_won,
       most_consecutive_wins, most_consecutive_losses, current_win_streak, current_loss_streak,
       last_game_at
FROM player_lifetime_stats WHERE player_id = $1;

-- name: write_lifetime
-- Put a player's lifetime statistics right.
UPDATE player_lifetime_stats SET
    games_played = $2, games_won = $3, highest_score = $4, lowest_score = $5, total_points = $6,
    total_tricks_won = $7, most_consecutive_wins = $8, most_consecutive_losses = $9,
    current_win_streak = $10, current_loss_streak = $11, last_game_at = $12
WHERE player_id = $1;

-- name: ruleset_stats
-- Read a player's statistics in each ruleset.
SELECT ruleset, games_played, games_won, highest_score, lowest_score, total_points,
       total_tricks_won, most_consecutive_wins, most_consecutive_losses, current_win_streak,
       current_loss_streak, last_game_at
FROM player_ruleset_stats WHERE player_id = $1 ORDER BY ruleset;

-- name: write_ruleset_stats
-- Put a player's statistics in one ruleset right.
INSERT INTO player_ruleset_stats (player_id, ruleset, games_played, games_won, highest_score,
    lowest_score, total_points, total_tricks_won, most_consecutive_wins, most_consecutive_losses,
    current_win_streak, current_loss_streak, last_game_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (player_id, ruleset) DO UPDATE SET
    games_played = $3, games_won = $4, highest_score = $5, lowest_score = $6, total_points = $7,
    total_tricks_won = $8, most_consecutive_wins = $9, most_consecutive_losses = $10,
    current_win_streak = $11, current_loss_streak = $12, last_game_at = $13;

-- name: xp
-- Read a player's XP as it is stored, and as the matches that brought it add up.
SELECT f.xp_total AS stored,
       (SELECT coalesce(sum(mp.xp), 0)::int8 FROM match_players mp WHERE mp.player_id = p.id) AS earned
FROM players p JOIN profiles f ON f.id = p.user_id::uuid
WHERE p.id = $1;

-- name: write_xp
-- Put a player's XP right.
UPDATE profiles f SET xp_total = $2 FROM players p WHERE p.id = $1 AND f.id = p.user_id::uuid;

-- name: players_with_records
-- List a page of the players who have statistics or finished a game, in id order, after one of them; who was erased has none.
SELECT p.id FROM players p
WHERE p.id > $1 AND p.erased_at IS NULL AND (
    EXISTS (SELECT FROM player_lifetime_stats s WHERE s.player_id = p.id)
    OR EXISTS (SELECT FROM match_players mp WHERE mp.player_id = p.id))
ORDER BY p.id LIMIT $2;

-- name: ensure_stats
-- Make the statistics rows that players do not have yet, in id order; who was erased gets none.
INSERT INTO player_lifetime_stats (player_id)
SELECT id FROM players WHERE id = ANY($1::uuid[]) AND erased_at IS NULL ORDER BY id
ON CONFLICT (player_id) DO NOTHING;

-- name: lock_stats
-- Lock the players' statistics in id order, so that two completions never wait for each other in a ring.
SELECT player_id FROM player_lifetime_stats
WHERE player_id = ANY($1::uuid[]) ORDER BY player_id FOR UPDATE;
