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

-- name: lock_lobby_of_game
-- Wait until nobody else holds the lobby that a game is made of.
SELECT FROM lobbies WHERE id = $1 FOR NO KEY UPDATE;

-- name: create_games
-- Insert games that nodes own with their first events, turn their lobbies into them, and list them, in one statement. A game whose lobby changed since it was read, or is locked, or which is there already, is left out and not returned; the others are unhurt.
WITH made AS (
    SELECT * FROM jsonb_to_recordset($1) AS m(
        id uuid, ruleset text, ruleset_version int, seed text, config jsonb, lobby_id uuid, lobby_version bigint,
        is_public bool, join_code text, node text, created_at timestamptz, seats int, taken int, events jsonb)
), locked AS (
    SELECT l.id FROM lobbies l JOIN made m ON m.lobby_id = l.id
    ORDER BY l.id FOR NO KEY UPDATE OF l SKIP LOCKED
), lobby AS (
    UPDATE lobbies l SET status = 'PLAYING', game_id = m.id, version = l.version + 1, fill_at = NULL
    FROM made m JOIN locked k ON k.id = m.lobby_id
    WHERE l.id = m.lobby_id AND l.status = 'OPEN' AND l.version = m.lobby_version
    RETURNING l.id, l.game_id, l.password_hash
), game AS (
    INSERT INTO games (id, ruleset, ruleset_version, session_seed, config, status, lobby_id, is_public,
                       owner_node, owner_epoch, next_event_index, created_at, started_at)
    SELECT m.id, m.ruleset, m.ruleset_version, m.seed, m.config, 'in_progress', m.lobby_id, m.is_public,
           m.node, 1, jsonb_array_length(m.events), m.created_at, m.created_at
    FROM made m WHERE m.lobby_id IS NULL OR EXISTS (SELECT FROM lobby l WHERE l.game_id = m.id)
    ON CONFLICT (id) DO NOTHING
    RETURNING id
), events AS (
    INSERT INTO game_events (game_id, event_index, type, payload, created_at, hash)
    SELECT g.id, e.event_index, e.type, e.payload, e.created_at, decode(e.hash, 'hex')
    FROM game g JOIN made m ON m.id = g.id, jsonb_to_recordset(m.events)
        AS e(event_index int, type text, payload jsonb, created_at timestamptz, hash text)
), listed AS (
    -- Anybody may watch it unless its lobby has a password.
    INSERT INTO room_directory
        (game_id, lobby_id, join_code, is_public, max_players, current_players, can_watch, created_at)
    SELECT g.id, m.lobby_id, m.join_code, m.is_public, m.seats, m.taken,
           EXISTS (SELECT FROM lobby l WHERE l.game_id = g.id AND l.password_hash IS NULL), m.created_at
    FROM game g JOIN made m ON m.id = g.id WHERE m.is_public AND m.join_code IS NOT NULL
)
SELECT id FROM game;
