-- name: find_game
-- Read one game's row.
SELECT id, ruleset, ruleset_version, session_seed, config, status, lobby_id, is_public,
       owner_epoch, next_event_index, quarantined_at IS NOT NULL AS quarantined,
       created_at, started_at, completed_at, end_reason
FROM games WHERE id = $1;

-- name: read_events
-- Read a part of a game's log, in order, bounded by rows.
SELECT event_index, type, payload, created_at, hash
FROM game_events WHERE game_id = $1 AND event_index > $2
ORDER BY event_index LIMIT $3;

-- name: read_finished_events
-- Read a part of a finished game's log, in order, bounded by rows; nothing where the game is not known to be over.
SELECT e.event_index, e.type, e.payload, e.created_at, e.hash
FROM game_events e JOIN games g ON g.id = e.game_id AND g.status = 'completed'
WHERE e.game_id = $1 AND e.event_index > $2
ORDER BY e.event_index LIMIT $3;

-- name: head_at
-- Find a game's newest event that is not younger than a time.
SELECT event_index FROM game_events WHERE game_id = $1 AND created_at <= $2
ORDER BY event_index DESC LIMIT 1;

-- name: event_of_command
-- Read the first event that a seat's command caused, if it caused one.
SELECT event_index, type, payload, created_at, hash
FROM game_events
WHERE game_id = $1 AND (
    payload -> '_cmd' = jsonb_build_array($2::int, $3::int)
    OR type = 'tick' AND EXISTS (
        SELECT FROM jsonb_array_elements(payload -> 'inputs') AS input
        WHERE input -> 0 = to_jsonb($2::int) AND input -> 1 = to_jsonb($3::int)
    )
)
ORDER BY event_index LIMIT 1;

-- name: last_command
-- Find the highest command number of a seat in a game's log; NULL where it has none.
SELECT max(cmd_no) FROM (
    SELECT (payload #>> '{_cmd,1}')::int AS cmd_no FROM game_events
    WHERE game_id = $1 AND payload -> '_cmd' -> 0 = to_jsonb($2::int)
    UNION ALL
    SELECT (input ->> 1)::int FROM game_events, jsonb_array_elements(payload -> 'inputs') AS input
    WHERE game_id = $1 AND type = 'tick' AND input -> 0 = to_jsonb($2::int)
) AS commands;

-- name: claim_game
-- Take a running game whose owner is this node or whose owner's lease ran out; the owner epoch goes up.
UPDATE games g SET owner_node = $2, owner_epoch = g.owner_epoch + 1
WHERE g.id = $1 AND g.status = 'in_progress' AND g.quarantined_at IS NULL
  AND (g.owner_node = $2 OR NOT EXISTS (
        SELECT FROM nodes n WHERE n.id = g.owner_node AND n.lease_until > clock_timestamp()))
RETURNING owner_epoch, next_event_index;

-- name: held_games
-- Find the running games that have this node as their owner.
SELECT id FROM games
WHERE owner_node = $1 AND status = 'in_progress' AND quarantined_at IS NULL
  AND (ruleset, ruleset_version) IN (SELECT * FROM unnest($3::text[], $4::int[]))
ORDER BY created_at LIMIT $2;

-- name: orphaned_games
-- Find running games that nobody owns: their owner's lease ran out, or was given back.
SELECT g.id FROM games g LEFT JOIN nodes n ON n.id = g.owner_node
WHERE g.status = 'in_progress' AND g.quarantined_at IS NULL
  AND (n.id IS NULL OR n.lease_until <= clock_timestamp())
  AND (g.ruleset, g.ruleset_version) IN (SELECT * FROM unnest($2::text[], $3::int[]))
ORDER BY g.created_at LIMIT $1;

-- name: live_owner
-- Say which live node owns a game, and where it can be reached.
SELECT n.id, n.address FROM games g JOIN nodes n ON n.id = g.owner_node
WHERE g.id = $1 AND n.lease_until > clock_timestamp();

-- name: standings
-- Say how far some games are, which node has them, and whether they go on.
SELECT id, owner_node, next_event_index, status = 'completed' AS completed,
       quarantined_at IS NOT NULL AS quarantined
FROM games WHERE id = ANY($1::uuid[]);

-- name: renew_lease
-- Keep this node's lease, or take it out; who let it run out has started anew.
INSERT INTO nodes (id, address, started_at, lease_until, games, connections, load, is_draining,
                   plays, version)
VALUES ($1, $2, clock_timestamp(), clock_timestamp() + $3::float8 * interval '1 second',
        $4, $5, $6, $7, $8, $9)
ON CONFLICT (id) DO UPDATE SET address = excluded.address, lease_until = excluded.lease_until,
    started_at = CASE WHEN nodes.lease_until > clock_timestamp() THEN nodes.started_at
                      ELSE excluded.started_at END,
    games = excluded.games, connections = excluded.connections, load = excluded.load,
    is_draining = excluded.is_draining, plays = excluded.plays, version = excluded.version;

-- name: list_nodes
-- List the nodes, those without a lease too, with how busy they were when they renewed it.
SELECT id, address, version, games, connections, load, is_draining, plays,
       extract(epoch FROM lease_until - clock_timestamp())::float8 AS lease_s, started_at
FROM nodes ORDER BY lease_until > clock_timestamp() DESC, started_at, id LIMIT $1;

-- name: release_lease
-- Give this node's lease back, so that others need not wait for it.
DELETE FROM nodes WHERE id = $1;

-- name: still_owned
-- Say which games are still owned by this node at the epoch it knows.
SELECT g.id FROM games g
JOIN unnest($1::uuid[], $2::bigint[]) AS held(id, owner_epoch) USING (id, owner_epoch)
WHERE g.owner_node = $3;

-- name: quarantine_game
-- Set a game aside whose log or rules failed, if this owner epoch still has it; nothing else about it changes.
UPDATE games SET quarantined_at = clock_timestamp(), quarantine_reason = $2, quarantine_trace = $4
WHERE id = $1 AND quarantined_at IS NULL AND status = 'in_progress' AND owner_epoch = $3;

-- name: totals
-- Count the games that ended and all events, over all nodes; finished games are counted as they end.
SELECT t.games, t.events + r.events
FROM (SELECT coalesce(sum(games), 0)::bigint AS games, coalesce(sum(events), 0)::bigint AS events
      FROM game_totals) t,
     (SELECT coalesce(sum(next_event_index), 0) AS events
      FROM games WHERE status IN ('created', 'in_progress')) r;
