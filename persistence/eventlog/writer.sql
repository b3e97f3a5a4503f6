-- name: append
-- Append the events of many games in one statement: fenced by owner epoch and expected head. A game whose row is locked, fenced or moved on is left out and not returned; its batch-mates are unhurt.
WITH batch AS (
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::int[], $4::int[])
        WITH ORDINALITY AS t(game_id, owner_epoch, expected, events, nth)
), locked AS (
    SELECT g.id FROM games g JOIN batch b ON b.game_id = g.id
    ORDER BY g.id FOR NO KEY UPDATE OF g SKIP LOCKED
), moved AS (
    UPDATE games g SET next_event_index = b.expected + b.events
    FROM batch b JOIN locked l ON l.id = b.game_id
    WHERE g.id = b.game_id
      AND g.owner_epoch = b.owner_epoch
      AND g.next_event_index = b.expected
      AND g.status = 'in_progress'
    RETURNING g.id, b.nth
), put AS (
    INSERT INTO game_events (game_id, event_index, type, payload, created_at, hash)
    SELECT m.id, e.event_index, e.type, e.payload, e.created_at, e.hash
    FROM unnest($5::int[], $6::int[], $7::text[], $8::jsonb[], $9::timestamptz[], $10::bytea[])
        AS e(nth, event_index, type, payload, created_at, hash)
    JOIN moved m ON m.nth = e.nth
)
SELECT nth FROM moved;

-- name: lock_head
-- Lock one game's row and read where its log stands; nothing is returned while somebody else holds it.
SELECT next_event_index, owner_epoch, status FROM games WHERE id = $1
FOR NO KEY UPDATE SKIP LOCKED;

-- name: is_created
-- Say whether a game is there.
SELECT EXISTS (SELECT FROM games WHERE id = $1);

-- name: create_game
-- Insert a game that this node owns; `begin_game` follows in the same transaction.
INSERT INTO games (id, ruleset, ruleset_version, session_seed, config, status, lobby_id, is_public,
                   owner_node, owner_epoch, next_event_index, created_at)
VALUES ($1, $2, $3, $4, $5, 'created', $6, $7, $8, 1, 0, $9);

-- name: begin_game
-- Write the first events of a game that was created; with them it is in progress.
WITH begun AS (
    UPDATE games SET status = 'in_progress', started_at = created_at,
                     next_event_index = cardinality($2::int[])
    WHERE id = $1 AND status = 'created'
    RETURNING id
)
INSERT INTO game_events (game_id, event_index, type, payload, created_at, hash)
SELECT b.id, e.event_index, e.type, e.payload, e.created_at, e.hash
FROM begun b, unnest($2::int[], $3::text[], $4::jsonb[], $5::timestamptz[], $6::bytea[])
    AS e(event_index, type, payload, created_at, hash);

-- name: start_lobby
-- Turn an open lobby into this game, unless it changed since it was read.
UPDATE lobbies SET status = 'PLAYING', game_id = $2, version = version + 1, fill_at = NULL
WHERE id = $1 AND status = 'OPEN' AND version = $3
RETURNING id;

-- name: list_room
-- List a public game in the room directory; anybody may watch it unless its lobby has a password.
INSERT INTO room_directory
  (game_id, lobby_id, join_code, is_public, max_players, current_players, can_watch, created_at)
VALUES ($1, $2, $3, $4, $5, $6,
        EXISTS (SELECT FROM lobbies l WHERE l.id = $2 AND l.password_hash IS NULL), $7);

-- name: ensure_stats
-- Make the statistics rows that players do not have yet, in id order; who was erased gets none.
INSERT INTO player_lifetime_stats (player_id)
SELECT id FROM players WHERE id = ANY($1::uuid[]) AND erased_at IS NULL ORDER BY id
ON CONFLICT (player_id) DO NOTHING;

-- name: lock_stats
-- Lock the players' statistics in id order, so that two completions never wait for each other in a ring.
SELECT player_id FROM player_lifetime_stats
WHERE player_id = ANY($1::uuid[]) ORDER BY player_id FOR UPDATE;

-- name: complete_game
-- Mark a game completed, and write the event for its listeners. `$5` is what of the event is not in the game's row.
WITH done AS (
    UPDATE games SET status = 'completed', completed_at = $2 WHERE id = $1 AND status = 'in_progress'
    RETURNING id, lobby_id, ruleset, started_at
)
INSERT INTO event_outbox (name, version, occurred_at, payload)
SELECT $3, $4, $2, $5::jsonb || jsonb_build_object(
    'game_id', id, 'lobby_id', lobby_id, 'ruleset', ruleset,
    'started_at', to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    'completed_at', to_char($2 AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
FROM done;

-- name: insert_summary
-- Write a game's summary; names are the players' own at this moment.
INSERT INTO game_summaries (game_id, players, rounds, final_scores, highest_bid, highest_score,
    lowest_score, most_consecutive_wins, most_consecutive_losses, highest_misplay)
SELECT $1,
       (SELECT jsonb_agg(player || jsonb_build_object('display_name', coalesce(p.display_name, ''))
                         ORDER BY (player ->> 'seat_index')::int)
        FROM jsonb_array_elements($2::jsonb) AS player
        LEFT JOIN players p ON p.id = (player ->> 'player_id')::uuid),
       $3, $4, $5, $6, $7, $8, $9, $10;

-- name: apply_stats
-- Add one game to its players' statistics: over all games, and in this ruleset. A score of null adds no points; an erased player has no row and gets none. The rows of a ruleset need no locks of their own: every writer of them holds the player's row over all games.
WITH game AS (
    SELECT s.player_id, g.ruleset, t.score, t.tricks, t.won
    FROM games g
    CROSS JOIN unnest($2::uuid[], $3::int[], $4::int[], $5::bool[]) AS t(player_id, score, tricks, won)
    JOIN player_lifetime_stats s ON s.player_id = t.player_id
    WHERE g.id = $1
), in_ruleset AS (
    INSERT INTO player_ruleset_stats AS r (player_id, ruleset, games_played, games_won,
        highest_score, lowest_score, total_points, total_tricks_won, most_consecutive_wins,
        most_consecutive_losses, current_win_streak, current_loss_streak, last_game_at)
    SELECT t.player_id, t.ruleset, 1, t.won::int, t.score, t.score, coalesce(t.score, 0), t.tricks,
           t.won::int, (NOT t.won)::int, t.won::int, (NOT t.won)::int, $6
    FROM game t
    ON CONFLICT (player_id, ruleset) DO UPDATE SET
        games_played = r.games_played + 1,
        games_won = r.games_won + excluded.games_won,
        highest_score = GREATEST(r.highest_score, excluded.highest_score),
        lowest_score = LEAST(r.lowest_score, excluded.lowest_score),
        total_points = r.total_points + excluded.total_points,
        total_tricks_won = r.total_tricks_won + excluded.total_tricks_won,
        current_win_streak = (r.current_win_streak + 1) * excluded.games_won,
        current_loss_streak = (r.current_loss_streak + 1) * (1 - excluded.games_won),
        most_consecutive_wins = GREATEST(r.most_consecutive_wins,
            (r.current_win_streak + 1) * excluded.games_won),
        most_consecutive_losses = GREATEST(r.most_consecutive_losses,
            (r.current_loss_streak + 1) * (1 - excluded.games_won)),
        last_game_at = excluded.last_game_at
)
UPDATE player_lifetime_stats s SET
    games_played = s.games_played + 1,
    games_won = s.games_won + t.won::int,
    highest_score = GREATEST(s.highest_score, t.score),
    lowest_score = LEAST(s.lowest_score, t.score),
    total_points = s.total_points + coalesce(t.score, 0),
    total_tricks_won = s.total_tricks_won + t.tricks,
    current_win_streak = CASE WHEN t.won THEN s.current_win_streak + 1 ELSE 0 END,
    current_loss_streak = CASE WHEN t.won THEN 0 ELSE s.current_loss_streak + 1 END,
    most_consecutive_wins = GREATEST(s.most_consecutive_wins,
        CASE WHEN t.won THEN s.current_win_streak + 1 ELSE 0 END),
    most_consecutive_losses = GREATEST(s.most_consecutive_losses,
        CASE WHEN t.won THEN 0 ELSE s.current_loss_streak + 1 END),
    last_game_at = $6
FROM game t
WHERE s.player_id = t.player_id;

-- name: insert_match
-- Write the history record of a game on the server; returns its id.
INSERT INTO matches (game_id, lobby_id, mode, ruleset, started_at, ended_at, winner_id, uncounted)
SELECT g.id, g.lobby_id, 'server', g.ruleset, g.started_at, $2, $3, $4 FROM games g WHERE g.id = $1
RETURNING id;

-- name: insert_match_players
-- Write who took part in a match, how it went for them, and the XP that it brought those with an account who did not leave.
WITH played AS (
    INSERT INTO match_players (match_id, player_id, seat, score, is_winner, ended_at, xp, forfeited)
    SELECT $1, t.player_id, t.seat, t.score, t.won, $6,
           CASE WHEN f.id IS NULL OR t.forfeited THEN 0 ELSE $7::int + $8::int * t.won::int END,
           t.forfeited
    FROM unnest($2::uuid[], $3::int[], $4::int[], $5::bool[], $9::bool[])
        AS t(player_id, seat, score, won, forfeited)
    LEFT JOIN players p ON p.id = t.player_id
    LEFT JOIN profiles f ON f.id = p.user_id::uuid
    RETURNING player_id, xp
)
UPDATE profiles f SET xp_total = f.xp_total + played.xp
FROM played JOIN players p ON p.id = played.player_id
WHERE f.id = p.user_id::uuid AND played.xp > 0;

-- name: close_lobby
-- Close the lobby whose game has ended.
UPDATE lobbies SET status = 'CLOSED', closed_at = $2, version = version + 1
WHERE game_id = $1 AND status = 'PLAYING';

-- name: unlist_room
-- Take a finished game off the room directory.
DELETE FROM room_directory WHERE game_id = $1;
