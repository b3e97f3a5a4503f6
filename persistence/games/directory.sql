-- name: list_running
-- List public games that run on a node that is alive, newest first, after the one that a cursor names.
SELECT d.game_id, d.lobby_id, d.join_code, g.ruleset, g.ruleset_version, d.max_players,
       d.current_players, d.can_watch, g.started_at, d.created_at
FROM room_directory d JOIN games g ON g.id = d.game_id
WHERE d.is_public
  AND ($1::text IS NULL OR g.ruleset = $1)
  AND ($2::int = 0 OR d.max_players - d.current_players >= $2)
  AND (NOT $3::boolean OR d.can_watch)
  AND ($4::timestamptz IS NULL
       OR d.created_at <= $4 AND (d.created_at < $4 OR d.game_id > $5::uuid))
  AND is_game_running(d.game_id)
ORDER BY d.created_at DESC, d.game_id
LIMIT $6;

-- name: set_players
-- Write how many seats of some games are held, as far as the writer still owns them.
UPDATE room_directory d SET current_players = held.players
FROM unnest($1::uuid[], $2::bigint[], $3::int[]) AS held (game_id, owner_epoch, players)
JOIN games g ON g.id = held.game_id AND g.owner_epoch = held.owner_epoch
WHERE d.game_id = held.game_id AND d.current_players <> held.players;
