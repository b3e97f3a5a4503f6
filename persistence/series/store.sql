-- name: finished_game
-- Read a finished game of a lobby: what was played, who sat where, and whether at a table of a lobby; holds its row.
SELECT g.ruleset, l.config, s.players, l.table_of IS NOT NULL FROM games g JOIN lobbies l ON l.id = g.lobby_id
JOIN game_summaries s ON s.game_id = g.id WHERE g.id = $1 AND g.status = 'completed' FOR UPDATE OF l;

-- name: lock_series_after
-- Read the series that was proposed after a game, and hold it.
SELECT * FROM series WHERE after_game = $1 FOR UPDATE;

-- name: lock_series_of_game
-- Read the series whose present game this is, and hold it.
SELECT * FROM series WHERE game_id = $1 AND state = 'playing' FOR UPDATE;

-- name: add_series
-- Propose a series.
INSERT INTO series (after_game, ruleset, config, seats, best_of) VALUES ($1, $2, $3, $4, $5) RETURNING *;

-- name: save_series
-- Write what may change of a series, and count the change.
UPDATE series SET agreed = $2::uuid[], state = $3, number = $4, game_id = $5, is_starting = $6, wins = $7, winner_id = $8,
    version = version + 1, changed_at = clock_timestamp(), claimed_until = '-infinity'
WHERE series_id = $1 RETURNING *;

-- name: claim_starting
-- Claim some series whose next game is to start.
UPDATE series SET claimed_until = clock_timestamp() + make_interval(secs => $1) WHERE series_id IN (
    SELECT s.series_id FROM series s WHERE s.is_starting AND s.claimed_until <= clock_timestamp()
    ORDER BY s.claimed_until LIMIT $2 FOR UPDATE SKIP LOCKED)
RETURNING *;

-- name: starting
-- List series whose next game is to start.
SELECT * FROM series WHERE is_starting LIMIT $1;

-- name: concerned
-- List, as of one moment, the series whose present game is one of these, and those whose next game is to start.
(SELECT * FROM series WHERE game_id = ANY ($1::uuid[]) AND state = 'playing')
UNION (SELECT * FROM series WHERE is_starting LIMIT $2);

-- name: note_started
-- Note that the next game of a series runs.
UPDATE series SET game_id = $3, is_starting = false, version = version + 1, changed_at = clock_timestamp()
WHERE series_id = $1 AND number = $2 AND is_starting;

-- name: changed_lately
-- Read the series that changed within so many seconds, the newest first.
SELECT * FROM series WHERE changed_at > clock_timestamp() - make_interval(secs => $1)
ORDER BY changed_at DESC LIMIT $2;

-- name: expire
-- End some proposals that waited longer than so many seconds.
UPDATE series SET state = 'finished', version = version + 1, changed_at = clock_timestamp() WHERE series_id IN (
    SELECT s.series_id FROM series s WHERE s.state = 'proposed' AND s.changed_at < clock_timestamp() - make_interval(secs => $1)
    ORDER BY s.changed_at LIMIT $2 FOR UPDATE SKIP LOCKED)
RETURNING series_id;

-- name: delete_old
-- Delete some series that have not changed for so many seconds.
DELETE FROM series WHERE series_id IN (
    SELECT s.series_id FROM series s WHERE s.changed_at < clock_timestamp() - make_interval(secs => $1)
    ORDER BY s.changed_at LIMIT $2 FOR UPDATE SKIP LOCKED)
RETURNING series_id;
