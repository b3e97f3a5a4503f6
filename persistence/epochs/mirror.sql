-- name: bots
-- Find bots by their slugs.
SELECT slug, id FROM bot_identities WHERE slug = ANY ($1::text[]);

-- name: state
-- Read how far a day is mirrored; nothing comes back if it is not.
SELECT source, last_seq, last_at FROM epoch_mirrors WHERE epoch_id = $1;

-- name: is_played
-- Say whether claims or votes were made in a day.
SELECT EXISTS (
  SELECT FROM epoch_events
  WHERE epoch_id = $1 AND event_type IN ('slot_claimed', 'slot_overwritten', 'vote_cast'));

-- name: begin
-- Let a day be mirrored from now on.
INSERT INTO epoch_mirrors (epoch_id, source) VALUES ($1, $2);

-- name: advance
-- Write which line was applied last.
UPDATE epoch_mirrors SET last_seq = $2, last_at = $3 WHERE epoch_id = $1;

-- name: version
-- Read a day's version.
SELECT version FROM epochs WHERE id = $1;
