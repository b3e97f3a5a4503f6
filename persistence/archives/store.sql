-- name: page_of_games
-- List a page of the games made before a time, oldest first, after one of them; `is_due` where one ended before it and its events are still in the database.
SELECT g.id, g.created_at, g.next_event_index AS events,
       g.status = 'completed' AND g.completed_at < $1 AND a.released_at IS NULL AS is_due
FROM games g LEFT JOIN game_archives a ON a.game_id = g.id
WHERE g.created_at < $1 AND (g.created_at, g.id) > ($2, $3)
ORDER BY g.created_at, g.id LIMIT $4;

-- name: released_archive
-- Say where the log of a game is whose events are no longer in the database.
SELECT game_id, object_key, events, head_hash, content_sha256, content_bytes, object_bytes
FROM game_archives WHERE game_id = $1 AND released_at IS NOT NULL;

-- name: released_archives
-- List a page of the games whose events are no longer in the database, after one of them, by id.
SELECT game_id, object_key, events, head_hash, content_sha256, content_bytes, object_bytes
FROM game_archives WHERE released_at IS NOT NULL AND game_id > $1 ORDER BY game_id LIMIT $2;

-- name: archive_totals
-- Count the games whose events are no longer in the database, their events, and what they take unpacked and stored.
SELECT count(*) AS games, coalesce(sum(events), 0)::bigint AS events,
       coalesce(sum(content_bytes), 0)::bigint AS content_bytes,
       coalesce(sum(object_bytes), 0)::bigint AS object_bytes
FROM game_archives WHERE released_at IS NOT NULL;

-- name: lock_due
-- Hold the row of a game whose events may go; nothing where they are gone, or the game is not over.
SELECT g.next_event_index FROM games g
WHERE g.id = $1 AND g.status = 'completed'
  AND NOT EXISTS (SELECT FROM game_archives a WHERE a.game_id = g.id AND a.released_at IS NOT NULL)
FOR NO KEY UPDATE OF g;

-- name: record_archive
-- Note a verified archive, and that the game's events may now be deleted.
INSERT INTO game_archives (game_id, object_key, events, head_hash, last_event_at, content_sha256,
                           content_bytes, object_bytes, archived_at, released_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp(), clock_timestamp())
ON CONFLICT (game_id) DO UPDATE SET object_key = excluded.object_key, events = excluded.events,
    head_hash = excluded.head_hash, last_event_at = excluded.last_event_at,
    content_sha256 = excluded.content_sha256, content_bytes = excluded.content_bytes,
    object_bytes = excluded.object_bytes, archived_at = excluded.archived_at,
    released_at = excluded.released_at;

-- name: release_events
-- Delete the events of an archived game; gives how many there were.
WITH released AS (DELETE FROM game_events WHERE game_id = $1 RETURNING 1)
SELECT count(*)::int FROM released;

-- name: lock_archive
-- Hold an archive whose events are to come back; nothing where they are in the database.
SELECT game_id FROM game_archives WHERE game_id = $1 AND released_at IS NOT NULL FOR UPDATE;

-- name: put_back_events
-- Insert events of an archived game again, as they were.
INSERT INTO game_events (game_id, event_index, type, payload, created_at, hash)
SELECT $1, e.event_index, e.type, e.payload, e.created_at, e.hash
FROM unnest($2::int[], $3::text[], $4::jsonb[], $5::timestamptz[], $6::bytea[])
    AS e(event_index, type, payload, created_at, hash);

-- name: put_back
-- Note that a game's events are in the database again.
UPDATE game_archives SET released_at = NULL WHERE game_id = $1;
