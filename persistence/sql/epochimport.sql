-- name: bots
-- List every bot by its slug.
SELECT slug, id FROM bot_identities;

-- name: stop_clock
-- Let it be a moment, for this transaction alone: it is undone before the end.
INSERT INTO epoch_clock (real_at, epoch_at, speed) VALUES (clock_timestamp(), $1, 1e-9)
ON CONFLICT (singleton) DO UPDATE
SET real_at = clock_timestamp(), epoch_at = EXCLUDED.epoch_at, speed = EXCLUDED.speed;

-- name: read_clock
-- Read the clock as it is set, and hold it.
SELECT real_at, epoch_at, speed FROM epoch_clock FOR UPDATE;

-- name: restore_clock
-- Put the clock back as it was.
UPDATE epoch_clock SET real_at = $1, epoch_at = $2, speed = $3;

-- name: remove_clock
-- Let the time of epochs be the real one, as it was.
DELETE FROM epoch_clock;

-- name: begin
-- Let a new day be live at once.
UPDATE epochs SET phase = 'live' WHERE id = $1;

-- name: holder
-- Read who holds a slot.
SELECT current_holder_bot_identity_id FROM epoch_slot_states WHERE epoch_id = $1 AND slot_index = $2;
