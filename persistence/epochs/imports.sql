-- name: bots
-- List every bot by its slug.
SELECT slug, id FROM bot_identities;

-- name: hold_clock
-- Hold the clock as it is set, if it is; nobody else moves it until this transaction ends.
SELECT singleton FROM epoch_clock FOR UPDATE;

-- name: own_clock
-- Let a setting of this transaction say what time it is; that is undone before the end.
INSERT INTO epoch_clock (epoch_at, follows_setting) VALUES ($1, true)
ON CONFLICT (singleton) DO UPDATE SET follows_setting = true;

-- name: stop_clock
-- Let it be a moment, for this transaction alone.
SELECT set_config('playhall.epoch_at', $1::timestamptz::text, true);

-- name: restore_clock
-- Let the time of epochs be what it was.
UPDATE epoch_clock SET follows_setting = false;

-- name: remove_clock
-- Let the time of epochs be the real one, as it was.
DELETE FROM epoch_clock;

-- name: begin
-- Let a new day be live at once.
UPDATE epochs SET phase = 'live' WHERE id = $1;

-- name: holder
-- Read who holds a slot.
SELECT current_holder_bot_identity_id FROM epoch_slot_states WHERE epoch_id = $1 AND slot_index = $2;
