-- name: find_log
-- Read how a slot's log began, and how far it is.
SELECT slot_id, account_id, player_id, ruleset, ruleset_version, config, seed, next_index, hash
FROM save_logs WHERE slot_id = $1;

-- name: add_log
-- Make a slot the log of a ruleset.
INSERT INTO save_logs (slot_id, account_id, player_id, ruleset, ruleset_version, config, seed, hash)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: read_events
-- Read the events of a log after one, in order.
SELECT event_index, type, payload, hash, at FROM save_log_events
WHERE slot_id = $1 AND event_index > $2 ORDER BY event_index LIMIT $3;

-- name: add_events
-- Add events to a log.
INSERT INTO save_log_events (slot_id, event_index, type, payload, hash, at)
SELECT $1, e.* FROM unnest($2::int[], $3::text[], $4::jsonb[], $5::bytea[], $6::timestamptz[]) AS e;

-- name: advance_log
-- Note how far a log is.
UPDATE save_logs SET next_index = $2, hash = $3 WHERE slot_id = $1;

-- name: find_mutation
-- Find what a request led to.
SELECT content_hash, first_index, end_index FROM save_log_mutations
WHERE slot_id = $1 AND mutation_id = $2;

-- name: add_mutation
-- Note what a request led to.
INSERT INTO save_log_mutations (slot_id, mutation_id, content_hash, first_index, end_index)
VALUES ($1, $2, $3, $4, $5);

-- name: list_logs
-- List some slots that are logs, by id.
SELECT slot_id FROM save_logs WHERE slot_id > $1 ORDER BY slot_id LIMIT $2;

-- name: read_state
-- Read the state of a slot.
SELECT narrative_state FROM save_slots WHERE slot_id = $1;
