-- name: read_tournament
-- Read a tournament, with how many take part and how many pairings are open.
SELECT t.id, t.title, t.ruleset, t.config, t.format, t.status, t.version, t.starts_at, t.entrants_min,
       t.entrants_max, t.round, t.rounds, t.late_join, t.check_in_s, t.duration_s, t.ends_at, t.started_at,
       t.completed_at, t.cancel_reason,
       (SELECT count(*) FROM tournament_entrants e
        WHERE e.tournament_id = t.id AND e.withdrawn_at IS NULL)::int AS entrants,
       (SELECT count(*) FROM tournament_pairings p
        WHERE p.tournament_id = t.id AND p.status IN ('waiting', 'ready', 'playing'))::int AS open_pairings,
       clock_timestamp() AS now
FROM tournaments t WHERE t.id = $1;

-- name: list_tournaments
-- List tournaments, those that start last first, after a place.
SELECT t.id, t.title, t.ruleset, t.config, t.format, t.status, t.version, t.starts_at, t.entrants_min,
       t.entrants_max, t.round, t.rounds, t.late_join, t.check_in_s, t.duration_s, t.ends_at, t.started_at,
       t.completed_at, t.cancel_reason,
       (SELECT count(*) FROM tournament_entrants e
        WHERE e.tournament_id = t.id AND e.withdrawn_at IS NULL)::int AS entrants,
       (SELECT count(*) FROM tournament_pairings p
        WHERE p.tournament_id = t.id AND p.status IN ('waiting', 'ready', 'playing'))::int AS open_pairings,
       clock_timestamp() AS now
FROM tournaments t
WHERE ($1::text IS NULL OR t.status = $1) AND ($2::text IS NULL OR t.ruleset = $2)
  AND (t.starts_at < $3 OR t.starts_at = $3 AND t.id > $4)
ORDER BY t.starts_at DESC, t.id LIMIT $5;

-- name: lock_tournament
-- Hold a tournament until the transaction ends: whoever changes it, or its pairings, does so first.
SELECT id FROM tournaments WHERE id = $1 FOR NO KEY UPDATE;

-- name: try_lock_tournament
-- Hold a tournament that nobody else holds.
SELECT id FROM tournaments WHERE id = $1 FOR NO KEY UPDATE SKIP LOCKED;

-- name: count_change
-- Count a change of a tournament that is held.
UPDATE tournaments SET version = version + 1 WHERE id = $1 RETURNING version;

-- name: add_tournament
-- Announce a tournament, unless too many are open.
INSERT INTO tournaments (title, ruleset, config, format, starts_at, entrants_min, entrants_max, rounds,
                         late_join, check_in_s, duration_s, created_by)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12
WHERE (SELECT count(*) FROM tournaments WHERE completed_at IS NULL) < $13
RETURNING id;

-- name: start_tournament
-- Let a tournament run; its rounds are known now.
UPDATE tournaments SET status = 'running', rounds = $2, started_at = clock_timestamp(),
    ends_at = clock_timestamp() + make_interval(secs => duration_s), version = version + 1
WHERE id = $1 AND status = 'registration';

-- name: enter_round
-- Let a tournament be in a round.
UPDATE tournaments SET round = $2, version = version + 1 WHERE id = $1;

-- name: complete_tournament
-- End a tournament.
UPDATE tournaments SET status = 'completed', completed_at = clock_timestamp(), version = version + 1
WHERE id = $1 AND status = 'running';

-- name: cancel_tournament
-- Call a tournament off.
UPDATE tournaments SET status = 'cancelled', completed_at = clock_timestamp(), cancel_reason = $2,
    version = version + 1
WHERE id = $1 AND completed_at IS NULL RETURNING id;

-- name: void_pairings
-- Close the pairings of a tournament that are not decided.
UPDATE tournament_pairings SET status = 'void'
WHERE tournament_id = $1 AND status IN ('waiting', 'ready', 'playing');

-- name: versions
-- Read how far tournaments have changed.
SELECT id, version FROM tournaments WHERE id = ANY ($1::uuid[]);

-- name: entrants
-- List who takes part, by number.
SELECT e.number, e.player_id, p.display_name, e.bot, e.withdrawn_at IS NOT NULL AS is_withdrawn
FROM tournament_entrants e JOIN players p ON p.id = e.player_id
WHERE e.tournament_id = $1 ORDER BY e.number;

-- name: find_entrant
-- Read an entrant by their player.
SELECT e.number, e.player_id, p.display_name, e.bot, e.withdrawn_at IS NOT NULL AS is_withdrawn
FROM tournament_entrants e JOIN players p ON p.id = e.player_id
WHERE e.tournament_id = $1 AND e.player_id = $2;

-- name: add_entrants
-- Register players under the next numbers of a tournament that is held, up to its maximum. Whoever
-- withdrew from a running one keeps their place and counts.
WITH last AS (SELECT coalesce(max(number), 0) AS number, count(*) AS taken
              FROM tournament_entrants WHERE tournament_id = $1),
     new AS (SELECT t.player_id, t.bot, row_number() OVER (ORDER BY t.nth)::int AS nth
             FROM unnest($2::uuid[], $3::text[]) WITH ORDINALITY AS t(player_id, bot, nth)
             WHERE NOT EXISTS (SELECT FROM tournament_entrants e
                               WHERE e.tournament_id = $1 AND e.player_id = t.player_id))
INSERT INTO tournament_entrants (tournament_id, number, player_id, bot)
SELECT $1, last.number + new.nth, new.player_id, new.bot FROM new, last
WHERE last.taken + new.nth <= (SELECT entrants_max FROM tournaments WHERE id = $1)
RETURNING number;

-- name: remove_entrant
-- Take somebody out of a tournament that has not begun; nothing comes back if they are not registered.
DELETE FROM tournament_entrants WHERE tournament_id = $1 AND player_id = $2 RETURNING number;

-- name: return_entrant
-- Register somebody again who withdrew.
UPDATE tournament_entrants SET withdrawn_at = NULL WHERE tournament_id = $1 AND player_id = $2;

-- name: withdraw
-- Let somebody withdraw; returns their number, nothing if they are not registered.
UPDATE tournament_entrants SET withdrawn_at = clock_timestamp()
WHERE tournament_id = $1 AND player_id = $2 AND withdrawn_at IS NULL RETURNING number;

-- name: forfeit_open
-- Decide the pairings of somebody whose games have not begun: their opponent wins.
UPDATE tournament_pairings SET status = 'decided', kind = 'forfeit', decided_at = clock_timestamp(),
    first_points = CASE WHEN first = $2 THEN 0 ELSE 2 END,
    second_points = CASE WHEN second = $2 THEN 0 ELSE 2 END
WHERE tournament_id = $1 AND $2 IN (first, second) AND status IN ('waiting', 'ready');

-- name: pairings_of
-- List all pairings of a tournament, for its rules.
SELECT round, board, first, second, kind, attempt,
       CASE WHEN status = 'decided' THEN first_points END AS first_points,
       CASE WHEN status = 'decided' THEN second_points END AS second_points
FROM tournament_pairings WHERE tournament_id = $1 ORDER BY round, board, attempt;

-- name: add_pairings
-- Write new pairings of a tournament that is held. Bots, and everybody where there is no check-in,
-- are ready; what is decided already has its points.
INSERT INTO tournament_pairings (tournament_id, round, board, attempt, first, second, kind, status, first_points,
                                 second_points, first_ready, second_ready, ready_by, decided_at)
SELECT $1, n.round, n.board, n.attempt, n.first, n.second, n.kind,
       CASE WHEN n.first_points IS NOT NULL THEN 'decided' WHEN s.first AND s.second THEN 'ready' ELSE 'waiting' END,
       n.first_points, n.second_points, s.first, s.second,
       CASE WHEN n.first_points IS NULL AND NOT (s.first AND s.second)
            THEN clock_timestamp() + make_interval(secs => t.check_in_s) END,
       CASE WHEN n.first_points IS NOT NULL THEN clock_timestamp() END
FROM unnest($2::int[], $3::int[], $4::int[], $5::int[], $6::int[], $7::text[], $8::int[], $9::int[])
         AS n(round, board, attempt, first, second, kind, first_points, second_points)
JOIN tournaments t ON t.id = $1
JOIN tournament_entrants a ON a.tournament_id = $1 AND a.number = n.first
LEFT JOIN tournament_entrants b ON b.tournament_id = $1 AND b.number = n.second,
LATERAL (SELECT t.check_in_s = 0 OR a.bot IS NOT NULL AS first,
                t.check_in_s = 0 OR b.number IS NULL OR b.bot IS NOT NULL AS second) AS s;

-- name: show_pairings
-- List pairings with names: of a round or of a player, after a place.
SELECT p.id, p.round, p.board, p.attempt, p.status, p.kind, p.ready_by,
       CASE WHEN p.game_id IS NOT NULL THEN p.lobby_id END AS lobby_id, p.game_id,
       p.first, a.player_id AS first_player, ap.display_name AS first_name, p.first_points, p.first_ready,
       p.second, b.player_id AS second_player, bp.display_name AS second_name, p.second_points, p.second_ready
FROM tournament_pairings p
JOIN tournament_entrants a ON a.tournament_id = p.tournament_id AND a.number = p.first
JOIN players ap ON ap.id = a.player_id
LEFT JOIN tournament_entrants b ON b.tournament_id = p.tournament_id AND b.number = p.second
LEFT JOIN players bp ON bp.id = b.player_id
WHERE p.tournament_id = $1 AND ($2::int IS NULL OR p.round = $2)
  AND ($3::uuid IS NULL OR $3 IN (a.player_id, b.player_id))
  AND (p.round, p.board, p.attempt) > ($4, $5, $6)
ORDER BY p.round, p.board, p.attempt LIMIT $7;

-- name: check_in
-- Note that a player is there for a pairing that waits for them; it is ready once both are.
UPDATE tournament_pairings p SET
    first_ready = p.first_ready OR e.number = p.first,
    second_ready = p.second_ready OR e.number = p.second,
    status = CASE WHEN (p.first_ready OR e.number = p.first) AND (p.second_ready OR e.number = p.second)
                  THEN 'ready' ELSE p.status END
FROM tournament_entrants e
WHERE p.id = $2 AND p.tournament_id = $1 AND e.tournament_id = $1 AND e.player_id = $3
  AND e.number IN (p.first, p.second) AND p.status = 'waiting'
RETURNING p.status;

-- name: find_pairing
-- Read the state of a pairing, and whether a player is in it.
SELECT p.status, EXISTS (
    SELECT FROM tournament_entrants e WHERE e.tournament_id = p.tournament_id AND e.player_id = $3
      AND e.number IN (p.first, p.second)) AS is_theirs
FROM tournament_pairings p WHERE p.id = $2 AND p.tournament_id = $1;

-- name: decide
-- Decide a pairing that is not decided.
UPDATE tournament_pairings SET status = 'decided', kind = $5, first_points = $3, second_points = $4,
    decided_at = clock_timestamp()
WHERE tournament_id = $1 AND id = $2 AND status IN ('waiting', 'ready', 'playing') RETURNING id;

-- name: late_tournaments
-- List tournaments with pairings whose time to check in is over.
SELECT DISTINCT tournament_id FROM tournament_pairings
WHERE status = 'waiting' AND ready_by <= clock_timestamp() LIMIT $1;

-- name: forfeit_late
-- Decide the pairings of a tournament whose time to check in is over: who is there wins.
UPDATE tournament_pairings SET status = 'decided', kind = 'forfeit', decided_at = clock_timestamp(),
    first_points = CASE WHEN first_ready THEN 2 ELSE 0 END,
    second_points = CASE WHEN second_ready THEN 2 ELSE 0 END
WHERE tournament_id = $1 AND status = 'waiting' AND ready_by <= clock_timestamp() RETURNING id;

-- name: due_tournaments
-- List tournaments that may be advanced: those whose time to start has come, those whose round is
-- decided, and running arenas.
SELECT t.id FROM tournaments t
WHERE t.completed_at IS NULL
  AND (t.status = 'registration' AND t.starts_at <= clock_timestamp()
       OR t.status = 'running' AND (t.format = 'arena' OR NOT EXISTS (
            SELECT FROM tournament_pairings p
            WHERE p.tournament_id = t.id AND p.status IN ('waiting', 'ready', 'playing'))))
ORDER BY t.starts_at LIMIT $1;

-- name: claim_ready
-- Take some pairings whose games are to be started, for a while: nodes share them.
UPDATE tournament_pairings p SET claimed_until = clock_timestamp() + make_interval(secs => $2)
FROM tournaments t, tournament_entrants a, tournament_entrants b, players ap, players bp
WHERE p.id IN (SELECT o.id FROM tournament_pairings o
               WHERE o.status = 'ready' AND (o.claimed_until IS NULL OR o.claimed_until < clock_timestamp())
               ORDER BY o.created_at, o.board LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED)
  AND t.id = p.tournament_id AND a.tournament_id = t.id AND a.number = p.first
  AND b.tournament_id = t.id AND b.number = p.second AND ap.id = a.player_id AND bp.id = b.player_id
RETURNING p.id, p.tournament_id, p.lobby_id, t.title, p.round, p.board, t.ruleset, t.config,
          a.player_id AS first_player, ap.display_name AS first_name, a.bot AS first_bot,
          b.player_id AS second_player, bp.display_name AS second_name, b.bot AS second_bot;

-- name: note_game
-- Note which game a pairing has.
UPDATE tournament_pairings SET status = 'playing', game_id = $3, claimed_until = NULL
WHERE id = $1 AND lobby_id = $2 AND status = 'ready' RETURNING tournament_id;

-- name: renew_lobby
-- Let a pairing's game be made of another lobby, since this one was closed without a game.
UPDATE tournament_pairings SET lobby_id = gen_random_uuid(), claimed_until = NULL
WHERE id = $1 AND lobby_id = $2 AND status = 'ready';

-- name: lock_by_lobby
-- Hold the tournament whose pairing has a lobby; nothing for other lobbies.
SELECT t.id FROM tournaments t WHERE t.id = (SELECT tournament_id FROM tournament_pairings WHERE lobby_id = $1)
FOR NO KEY UPDATE;

-- name: lobbies_of_pairings
-- Say which of these lobbies are those of pairings.
SELECT lobby_id FROM tournament_pairings WHERE lobby_id = ANY ($1::uuid[]);

-- name: pairing_of_lobby
-- Read who plays in a lobby for a pairing that is not decided.
SELECT p.id, a.player_id AS first_player, b.player_id AS second_player
FROM tournament_pairings p
JOIN tournament_entrants a ON a.tournament_id = p.tournament_id AND a.number = p.first
JOIN tournament_entrants b ON b.tournament_id = p.tournament_id AND b.number = p.second
WHERE p.lobby_id = $1 AND p.status IN ('ready', 'playing');

-- name: record_result
-- Decide a pairing by its game.
UPDATE tournament_pairings SET status = 'decided', game_id = $2, first_points = $3, second_points = $4,
    decided_at = clock_timestamp(), claimed_until = NULL
WHERE id = $1 AND status IN ('ready', 'playing') RETURNING id;

-- name: stopped_games
-- List pairings whose games were set aside and will not end.
SELECT p.tournament_id, p.id FROM tournament_pairings p JOIN games g ON g.id = p.game_id
WHERE p.status = 'playing' AND g.quarantined_at IS NOT NULL LIMIT $1;

-- name: free_in_arena
-- List who waits for an opponent in an arena: their points, and whom they met last.
SELECT e.number, coalesce(sum(p.points), 0)::int AS points,
       (array_agg(p.opponent ORDER BY p.board DESC) FILTER (WHERE p.board IS NOT NULL))[1] AS last
FROM tournament_entrants e
LEFT JOIN LATERAL (
    SELECT o.board, o.status, CASE WHEN o.first = e.number THEN o.second ELSE o.first END AS opponent,
           CASE WHEN o.first = e.number THEN o.first_points ELSE o.second_points END AS points
    FROM tournament_pairings o
    WHERE o.tournament_id = $1 AND e.number IN (o.first, o.second)) AS p ON true
WHERE e.tournament_id = $1 AND e.withdrawn_at IS NULL
GROUP BY e.number
HAVING NOT coalesce(bool_or(p.status IN ('waiting', 'ready', 'playing')), false)
ORDER BY e.number;

-- name: arena_boards
-- Read how many pairings an arena has had, and how often each number had the first seat.
SELECT first, count(*)::int AS firsts, max(board) AS last_board FROM tournament_pairings
WHERE tournament_id = $1 GROUP BY first;
