-- name: find_account
-- Find a player's account; NULL for a bot's, or where there is no such player.
SELECT account_id FROM players WHERE id = $1;

-- name: list_account_objects
-- List an account's objects that whoever asks may read, by key.
SELECT collection, key, value, version, read_by, write_by, updated_at FROM stored_objects
WHERE account_id = $1 AND collection = $2 AND starts_with(key, $3) AND key > $4
ORDER BY key LIMIT $5;

-- name: count_account_objects
-- Count the objects of an account.
SELECT count(*) FROM stored_objects WHERE account_id = $1;

-- name: add_own_object
-- Add an object to one's account; nothing if there is one.
INSERT INTO stored_objects (account_id, collection, key, value, read_by) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING
RETURNING collection, key, value, version, read_by, write_by, updated_at;

-- name: update_own_object
-- Write an object of one's account, if it has a version; NULL for any.
UPDATE stored_objects SET value = $4, read_by = $5
WHERE account_id = $1 AND collection = $2 AND key = $3 AND ($6::bigint IS NULL OR version = $6)
RETURNING collection, key, value, version, read_by, write_by, updated_at;

-- name: delete_own_object
-- Delete an object of one's account, if it has a version; NULL for any.
DELETE FROM stored_objects
WHERE account_id = $1 AND collection = $2 AND key = $3 AND ($4::bigint IS NULL OR version = $4)
RETURNING key;

-- name: put_account_object
-- Write an object of an account for the server, whoever may write it.
INSERT INTO stored_objects AS o (account_id, collection, key, value, read_by, write_by)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (account_id, collection, key) WHERE account_id IS NOT NULL
DO UPDATE SET value = excluded.value, read_by = excluded.read_by, write_by = excluded.write_by
RETURNING collection, key, value, version, read_by, write_by, updated_at;

-- name: read_account_object
-- Read an object of an account, if whoever asks may.
SELECT collection, key, value, version, read_by, write_by, updated_at FROM stored_objects
WHERE account_id = $1 AND collection = $2 AND key = $3;

-- name: read_game_object
-- Read an object of a game.
SELECT collection, key, value, version, read_by, write_by, updated_at FROM stored_objects
WHERE game_id = $1 AND collection = $2 AND key = $3;

-- name: list_game_objects
-- List the objects of a game by key: those for everybody, or those for its players as well.
SELECT collection, key, value, version, read_by, write_by, updated_at FROM stored_objects
WHERE game_id = $1 AND collection = $2 AND starts_with(key, $3) AND key > $4
    AND (read_by = 'public' OR read_by = 'owner' AND $5)
ORDER BY key LIMIT $6;

-- name: hold_game
-- Let nobody else write the objects of a game meanwhile, so that they can be counted.
SELECT pg_advisory_xact_lock(hashtextextended('stored_objects:' || $1::text, 1));

-- name: count_game_objects
-- Count the objects of a game.
SELECT count(*) FROM stored_objects WHERE game_id = $1;

-- name: add_game_object
-- Add an object to a game; nothing if there is one.
INSERT INTO stored_objects (game_id, collection, key, value, read_by, write_by)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING
RETURNING collection, key, value, version, read_by, write_by, updated_at;

-- name: update_game_object
-- Write an object of a game, if it has a version; NULL for any.
UPDATE stored_objects SET value = $4, read_by = $5
WHERE game_id = $1 AND collection = $2 AND key = $3 AND ($6::bigint IS NULL OR version = $6)
RETURNING collection, key, value, version, read_by, write_by, updated_at;

-- name: delete_game_object
-- Delete an object of a game, if it has a version; NULL for any.
DELETE FROM stored_objects
WHERE game_id = $1 AND collection = $2 AND key = $3 AND ($4::bigint IS NULL OR version = $4)
RETURNING key;
