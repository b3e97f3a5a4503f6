-- name: now
-- Read what time it is for epochs.
SELECT epoch_now();

-- name: set_clock
-- Move the time of epochs, and say how fast it runs.
INSERT INTO epoch_clock (epoch_at, speed) VALUES ($1, $2)
ON CONFLICT (singleton) DO UPDATE SET real_at = clock_timestamp(), epoch_at = $1, speed = $2;

-- name: reset_clock
-- Let the time of epochs be the real one again.
DELETE FROM epoch_clock;

-- name: put_profile
-- Keep a profile; one that days were made by stays as it is, and nothing comes back.
INSERT INTO epoch_profiles AS p (profile_key, version, config) VALUES ($1, 1, $2)
ON CONFLICT (profile_key) DO UPDATE SET config = $2, version = p.version + 1
WHERE p.config = $2 OR NOT EXISTS (SELECT FROM epochs e WHERE e.profile_id = p.id)
RETURNING id;

-- name: deactivate_profiles
-- Take the active profile out of use, if it is another.
UPDATE epoch_profiles SET is_active = false WHERE is_active AND profile_key <> $1;

-- name: activate_profile
-- Make new days by this profile from now on.
UPDATE epoch_profiles SET is_active = true WHERE profile_key = $1 RETURNING id;

-- name: list_profiles
-- List all profiles.
SELECT id AS profile_id, profile_key, version, is_active, config FROM epoch_profiles
ORDER BY profile_key;

-- name: active_profile
-- Read the profile that new days are made by.
SELECT id AS profile_id, profile_key, version, is_active, config FROM epoch_profiles
WHERE is_active;

-- name: profiles_in_use
-- Read the rules that days are made by, and those of days that are under way.
SELECT p.profile_key, p.config FROM epoch_profiles p
WHERE p.is_active OR EXISTS (SELECT FROM epochs e WHERE e.profile_id = p.id AND e.phase <> 'archive')
ORDER BY p.profile_key;

-- name: make_day
-- Add a day; nothing comes back if there is one of this date.
INSERT INTO epochs (day_date, profile_id, starts_at, freeze_at, ends_at, pool_wei)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (day_date) DO NOTHING
RETURNING id;

-- name: day_before
-- Read the last day that has begun at a time. Without a duration, a profile's days last 24 hours.
SELECT e.day_date, e.ends_at,
       coalesce((p.config #>> '{cadence,duration_hours}')::int, 24) = 24
FROM epochs e JOIN epoch_profiles p ON p.id = e.profile_id
WHERE e.starts_at <= $1 ORDER BY e.starts_at DESC LIMIT 1;

-- name: day_after
-- Read the first day that has not begun at a time.
SELECT day_date, starts_at FROM epochs WHERE starts_at > $1 ORDER BY starts_at LIMIT 1;

-- name: make_slots
-- Add a day's slots, in the order of their index.
INSERT INTO epoch_slot_states (epoch_id, slot_index, slot_type, slot_label)
SELECT $1, number - 1, type, label
FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS slot (type, label, number);

-- name: append
-- Add an event with the day's next version; now, where no time is given.
WITH next AS (UPDATE epochs SET version = version + 1 WHERE id = $1 RETURNING version)
INSERT INTO epoch_events
  (epoch_id, version, event_type, occurred_at, actor_bot_identity_id, slot_index, payload)
SELECT $1, version, $2, coalesce($3, epoch_now()), $4, $5, $6 FROM next
RETURNING version, occurred_at;

-- name: find_day
-- Read a day by its id or its date.
SELECT e.id AS epoch_id, e.day_date AS day, e.phase, e.starts_at, e.freeze_at, e.ends_at, e.frozen_at,
       e.archived_at, e.version, e.pool_wei::text, e.events_digest, e.summary_uri, p.profile_key, p.config
FROM epochs e JOIN epoch_profiles p ON p.id = e.profile_id
WHERE e.id = $1 OR e.day_date = $2;

-- name: current_day
-- Read the day that is on: the last that has begun, also by a clock that was put back; else the first
-- that is announced.
SELECT e.id AS epoch_id, e.day_date AS day, e.phase, e.starts_at, e.freeze_at, e.ends_at, e.frozen_at,
       e.archived_at, e.version, e.pool_wei::text, e.events_digest, e.summary_uri, p.profile_key, p.config
FROM epochs e JOIN epoch_profiles p ON p.id = e.profile_id
CROSS JOIN LATERAL (SELECT e.phase = 'prep' OR e.starts_at > (SELECT epoch_now()) AS is_to_come) AS seen
ORDER BY seen.is_to_come, CASE WHEN seen.is_to_come THEN 1 ELSE -1 END * extract(epoch FROM e.starts_at)
LIMIT 1;

-- name: list_days
-- List days before one, newest first.
SELECT e.id AS epoch_id, e.day_date AS day, e.phase, e.starts_at, e.freeze_at, e.ends_at, e.frozen_at,
       e.archived_at, e.version, e.pool_wei::text, e.events_digest, e.summary_uri, p.profile_key, p.config
FROM epochs e JOIN epoch_profiles p ON p.id = e.profile_id
WHERE e.day_date < $1 ORDER BY e.day_date DESC LIMIT $2;

-- name: read_slots
-- Read what a day's slots hold, with the version they are of.
SELECT e.version AS head, e.phase, s.slot_index, s.slot_type, s.slot_label, s.current_code AS code,
       s.current_holder_bot_identity_id AS bot_id, b.slug AS bot, s.updated_at, s.version
FROM epochs e
JOIN epoch_slot_states s ON s.epoch_id = e.id
LEFT JOIN bot_identities b ON b.id = s.current_holder_bot_identity_id
WHERE e.id = $1 ORDER BY s.slot_index;

-- name: read_events
-- Read a day's events after a version.
SELECT v.version, v.event_type, v.occurred_at, v.actor_bot_identity_id AS bot_id, b.slug AS bot,
       v.slot_index, v.payload
FROM public_epoch_events v
LEFT JOIN bot_identities b ON b.id = v.actor_bot_identity_id
WHERE v.epoch_id = $1 AND v.version > $2 ORDER BY v.version LIMIT $3;

-- name: read_edition
-- Read what is known of a day's edition.
SELECT chain_id, contract_address, token_id::text, metadata_uri, minted_at FROM epoch_editions
WHERE epoch_id = $1;
