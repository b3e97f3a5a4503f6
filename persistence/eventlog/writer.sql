-- name: append
-- Append the events of many games in one statement: fenced by owner epoch and expected head. A game whose row is locked, fenced or moved on is left out and not returned; its batch-mates are unhurt.
WITH batch AS (
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::int[], $4::int[])
        WITH ORDINALITY AS t(game_id, owner_epoch, expected, events, nth)
), locked AS (
    -- With what `moved` needs of the batch: joined to both, it would compare each game with each.
    SELECT g.id, b.owner_epoch, b.expected, b.events, b.nth FROM games g JOIN batch b ON b.game_id = g.id
    ORDER BY g.id FOR NO KEY UPDATE OF g SKIP LOCKED
), moved AS (
    UPDATE games g SET next_event_index = l.expected + l.events
    FROM locked l
    WHERE g.id = l.id
      AND g.owner_epoch = l.owner_epoch
      AND g.next_event_index = l.expected
      AND g.status = 'in_progress'
    RETURNING g.id, l.nth
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

-- name: complete_game
-- Write a game's last events and all that comes of its end, as `migrations` has it; says where its log stood and whether it was written, and nothing while its row is locked.
SELECT owner_epoch, head, is_written FROM complete_game(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
    $23, $24, $25, $26, $27, $28, $29, $30, $31);

-- name: create_game
-- Insert a game that this node owns with its first events, turn its lobby into it, and list it, unless the lobby changed since it was read. Says whether it was there, and whether it is now.
WITH lobby AS (
    UPDATE lobbies SET status = 'PLAYING', game_id = $1, version = version + 1, fill_at = NULL
    WHERE id = $6 AND status = 'OPEN' AND version = $10
    RETURNING password_hash
), game AS (
    INSERT INTO games (id, ruleset, ruleset_version, session_seed, config, status, lobby_id, is_public,
                       owner_node, owner_epoch, next_event_index, created_at, started_at)
    SELECT $1, $2, $3, $4, $5, 'in_progress', $6, $7, $8, 1, cardinality($14::int[]), $9, $9
    WHERE $6 IS NULL OR EXISTS (SELECT FROM lobby)
    ON CONFLICT (id) DO NOTHING
    RETURNING id
), events AS (
    INSERT INTO game_events (game_id, event_index, type, payload, created_at, hash)
    SELECT g.id, e.* FROM game g,
        unnest($14::int[], $15::text[], $16::jsonb[], $17::timestamptz[], $18::bytea[]) AS e
), listed AS (
    -- Anybody may watch it unless its lobby has a password.
    INSERT INTO room_directory
        (game_id, lobby_id, join_code, is_public, max_players, current_players, can_watch, created_at)
    SELECT g.id, $6, $11, $7, $12, $13, EXISTS (SELECT FROM lobby l WHERE l.password_hash IS NULL), $9
    FROM game g WHERE $7 AND $11::text IS NOT NULL
)
SELECT EXISTS (SELECT FROM games WHERE id = $1) AS was_there, EXISTS (SELECT FROM game) AS is_made;
