-- name: lock_day
-- Hold a day, so that what is decided about it stays so; with what time it is.
SELECT e.phase, e.freeze_at, epoch_now() AS now, p.config
FROM epochs e JOIN epoch_profiles p ON p.id = e.profile_id
WHERE e.id = $1 FOR UPDATE OF e;

-- name: look
-- Read what decides about a claim: may the token claim, who holds the slot, the last claims; of the
-- bot's, those until a moment, for the clock may have been put back. Whether the day is mirrored is
-- read here, after the day was locked: a statement that waits for the lock sees what was there before.
SELECT
  EXISTS (SELECT FROM epoch_mirrors m WHERE m.epoch_id = $1) AS is_mirrored,
  EXISTS (
    SELECT FROM good_bot_tokens t
    WHERE t.token_id = $4 AND t.bot_identity_id = $3 AND 'claim' = ANY (t.scopes)
      AND (t.expires_at IS NULL OR t.expires_at > clock_timestamp())) AS may_claim,
  s.id IS NOT NULL AS is_slot, s.current_holder_bot_identity_id AS holder, s.updated_at AS slot_claimed_at,
  (SELECT max(v.occurred_at) FROM epoch_events v
   WHERE v.actor_bot_identity_id = $3 AND v.epoch_id = $1
     AND v.event_type IN ('slot_claimed', 'slot_overwritten') AND v.occurred_at <= $5) AS bot_claimed_at
FROM (VALUES (1)) AS one
LEFT JOIN epoch_slot_states s ON s.epoch_id = $1 AND s.slot_index = $2;

-- name: set_slot
-- Write what a slot holds now.
UPDATE epoch_slot_states
SET current_code = $3, current_holder_bot_identity_id = $4, updated_at = $5, version = $6
WHERE epoch_id = $1 AND slot_index = $2;
