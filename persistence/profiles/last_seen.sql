-- name: note_seen
-- Note that some players were here just now, in the order of their ids, unless they were erased.
WITH seen AS (
    SELECT id FROM players WHERE id = ANY ($1::uuid[]) AND erased_at IS NULL ORDER BY id FOR NO KEY UPDATE)
UPDATE players p SET last_seen = clock_timestamp() FROM seen WHERE p.id = seen.id;
