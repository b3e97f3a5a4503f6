-- name: list_games
-- List games newest first, after the one that a cursor names. Where `$3` seconds of silence are asked for, only running games whose last event is older. The status is spelled out, as a cast would keep the planner from the partial indexes.
SELECT g.id AS game_id, g.ruleset, g.ruleset_version, g.status, g.lobby_id, l.name AS lobby_name,
       g.is_public, g.owner_node AS node,
       n.lease_until > clock_timestamp() AS is_node_alive, g.next_event_index - 1 AS head,
       coalesce(last.created_at, archive.last_event_at) AS last_event_at, g.created_at, g.completed_at,
       g.quarantined_at, g.quarantine_reason, g.ended_at, g.end_reason
FROM games g
LEFT JOIN lobbies l ON l.id = g.lobby_id
LEFT JOIN nodes n ON n.id = g.owner_node
LEFT JOIN game_events last ON last.game_id = g.id AND last.event_index = g.next_event_index - 1
LEFT JOIN game_archives archive ON archive.game_id = g.id
WHERE ($1::text IS NULL
       OR $1 = 'running' AND g.status = 'in_progress' AND g.quarantined_at IS NULL
       OR $1 = 'quarantined' AND g.quarantined_at IS NOT NULL AND g.ended_at IS NULL
       OR $1 = 'ended' AND g.ended_at IS NOT NULL
       OR $1 = 'completed' AND g.status = 'completed')
  AND ($2::text IS NULL OR g.ruleset = $2)
  AND ($3::float8 IS NULL OR g.status = 'in_progress' AND g.quarantined_at IS NULL
       AND coalesce(last.created_at, g.created_at) < clock_timestamp() - make_interval(secs => $3))
  AND ($4::text IS NULL OR g.owner_node = $4)
  AND ($5::timestamptz IS NULL
       OR g.created_at <= $5 AND (g.created_at < $5 OR g.id > $6::uuid))
ORDER BY g.created_at DESC, g.id
LIMIT $7;

-- name: read_game
-- Read one game as operators see it.
SELECT g.id AS game_id, g.ruleset, g.ruleset_version, g.status, g.lobby_id, l.name AS lobby_name,
       g.is_public, g.owner_node AS node,
       n.lease_until > clock_timestamp() AS is_node_alive, g.next_event_index - 1 AS head,
       coalesce(last.created_at, archive.last_event_at) AS last_event_at, g.created_at, g.completed_at,
       g.quarantined_at, g.quarantine_reason, g.ended_at, g.end_reason, g.quarantine_trace,
       n.address AS node_address
FROM games g
LEFT JOIN lobbies l ON l.id = g.lobby_id
LEFT JOIN nodes n ON n.id = g.owner_node
LEFT JOIN game_events last ON last.game_id = g.id AND last.event_index = g.next_event_index - 1
LEFT JOIN game_archives archive ON archive.game_id = g.id
WHERE g.id = $1;

-- name: player_names
-- Read what the players of a game are called, by id.
SELECT id, display_name FROM players WHERE id = ANY($1::uuid[]);

-- name: lock_game
-- Hold a game's row, so that one act at a time concerns it.
SELECT status, quarantined_at, quarantine_reason, ended_at FROM games WHERE id = $1
FOR NO KEY UPDATE;

-- name: end_game
-- End a game for good. Its owner is fenced: what it has not committed by now, it cannot commit any more.
UPDATE games SET
    ended_at = clock_timestamp(), end_reason = $2, owner_node = NULL, owner_epoch = owner_epoch + 1,
    quarantined_at = coalesce(quarantined_at, clock_timestamp()),
    quarantine_reason = coalesce(quarantine_reason, 'An operator ended the game.')
WHERE id = $1
RETURNING lobby_id;

-- name: close_lobby
-- Close the lobby of a game that was ended, as the game's own end would have.
UPDATE lobbies SET status = 'CLOSED', closed_at = clock_timestamp(), version = version + 1
WHERE game_id = $1 AND status = 'PLAYING';

-- name: release_game
-- Let a quarantined game be played again; the next node that looks for orphaned games adopts it.
UPDATE games SET
    quarantined_at = NULL, quarantine_reason = NULL, quarantine_trace = NULL, owner_node = NULL,
    owner_epoch = owner_epoch + 1
WHERE id = $1;

-- name: read_ended
-- Say which of these games an operator ended, and what the players are told.
SELECT id, end_reason FROM games WHERE id = ANY($1::uuid[]) AND ended_at IS NOT NULL;

-- name: list_nodes
-- List the nodes of this database, those with a good lease first, with the running games that each owns.
SELECT n.id AS node, n.address, n.started_at, n.lease_until,
       n.lease_until > clock_timestamp() AS is_alive,
       (SELECT count(*)::int FROM games g
        WHERE g.owner_node = n.id AND g.status = 'in_progress' AND g.quarantined_at IS NULL) AS games
FROM nodes n
ORDER BY is_alive DESC, n.started_at, n.id LIMIT 200;

-- name: count_stopped
-- Count the running games that no living node has, and those that are quarantined and not ended.
SELECT
    (SELECT count(*)::int FROM games g LEFT JOIN nodes n ON n.id = g.owner_node
     WHERE g.status = 'in_progress' AND g.quarantined_at IS NULL
       AND (n.id IS NULL OR n.lease_until <= clock_timestamp())) AS orphaned,
    (SELECT count(*)::int FROM games
     WHERE quarantined_at IS NOT NULL AND ended_at IS NULL) AS quarantined;

-- name: unlist_room
-- Take a finished game off the room directory.
DELETE FROM room_directory WHERE game_id = $1;
