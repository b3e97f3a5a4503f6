-- name: lead
-- Take or keep the lead; nothing comes back while another node has it.
INSERT INTO epoch_leader AS l (node, lease_until)
VALUES ($1, clock_timestamp() + make_interval(secs => $2))
ON CONFLICT (singleton) DO UPDATE SET node = $1, lease_until = EXCLUDED.lease_until
WHERE l.node = $1 OR l.lease_until < clock_timestamp()
RETURNING node;

-- name: resign
-- Let another node lead at once.
UPDATE epoch_leader SET lease_until = clock_timestamp() WHERE node = $1;

-- name: leader
-- Read who leads.
SELECT node FROM epoch_leader WHERE lease_until > clock_timestamp();

-- name: unfinished
-- List the days that are not archived, in order.
SELECT id FROM epochs WHERE phase <> 'archive' ORDER BY starts_at;

-- name: lock
-- Hold a day for a step; with what time it is.
SELECT epoch_now() FROM epochs WHERE id = $1 FOR UPDATE;

-- name: enter
-- Let a day be in its next phase.
UPDATE epochs SET phase = $2, archived_at = CASE WHEN $2 = 'archive' THEN epoch_now() END WHERE id = $1;

-- name: freeze
-- Write when a day was frozen, and the digest of all that happened before.
UPDATE epochs SET frozen_at = freeze_at, events_digest = $2 WHERE id = $1;

-- name: set_summary
-- Write where a day's summary is.
UPDATE epochs SET summary_uri = $2 WHERE id = $1;

-- name: frozen_events
-- Read a day's events before its freeze, in order.
SELECT v.version, v.event_type, v.occurred_at, v.actor_bot_identity_id AS bot_id, b.slug AS bot,
       v.slot_index, v.payload
FROM public_epoch_events v
LEFT JOIN bot_identities b ON b.id = v.actor_bot_identity_id
WHERE v.epoch_id = $1 AND v.version < coalesce((
    SELECT min(f.version) FROM epoch_events f
    WHERE f.epoch_id = $1 AND f.event_type = 'phase_changed' AND f.payload ->> 'phase' = 'freeze'),
  9223372036854775807)
ORDER BY v.version;

-- name: clear_contributions
-- Make room for a result that takes the place of an earlier one.
DELETE FROM epoch_contributions WHERE epoch_id = $1;

-- name: clear_payouts
-- Make room for payouts that take the place of earlier ones.
DELETE FROM epoch_payouts WHERE epoch_id = $1;

-- name: paid
-- Say whether any payout of a day has left.
SELECT EXISTS (
  SELECT FROM epoch_payouts
  WHERE epoch_id = $1 AND (status IN ('submitted', 'confirmed') OR payout_tx_hash IS NOT NULL));

-- name: add_contribution
-- Write what a bot did in a day.
INSERT INTO epoch_contributions
  (epoch_id, bot_identity_id, occupied_seconds, successful_claims, defense_seconds, vote_quality,
   raw_score, normalized_share)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: add_payout
-- Write what a bot's owner is paid.
INSERT INTO epoch_payouts
  (epoch_id, bot_identity_id, recipient_address, bps, amount_wei, status, events_digest)
VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: add_settlement
-- Keep a result for ever, with the next number.
INSERT INTO epoch_settlements (epoch_id, number, computed_by, reason, events_digest, result)
SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5 FROM epoch_settlements WHERE epoch_id = $1
RETURNING number;

-- name: settlements
-- Read every result of a day, the newest first.
SELECT number, computed_at, computed_by, reason, events_digest, result FROM epoch_settlements
WHERE epoch_id = $1 ORDER BY number DESC;

-- name: payouts
-- Read who is paid what for a day.
SELECT p.bot_identity_id AS bot_id, b.slug AS bot, p.recipient_address, p.bps, p.amount_wei::text,
       p.payout_tx_hash, p.status
FROM epoch_payouts p JOIN bot_identities b ON b.id = p.bot_identity_id
WHERE p.epoch_id = $1 ORDER BY p.bps DESC, p.bot_identity_id;

-- name: set_payout
-- Write how far a payout is.
UPDATE epoch_payouts SET status = $3, payout_tx_hash = $4
WHERE epoch_id = $1 AND bot_identity_id = $2 RETURNING id;

-- name: add_bot_stats
-- Note where a bot's figures of a day are kept, once.
INSERT INTO bot_stats_snapshots (bot_identity_id, epoch_id, snapshot_uri, snapshot_hash)
VALUES ($1, $2, $3, $4) ON CONFLICT (bot_identity_id, epoch_id, snapshot_uri) DO NOTHING;

-- name: add_edition
-- Announce a day's edition, once.
INSERT INTO epoch_editions (epoch_id, chain_id, contract_address, metadata_uri)
VALUES ($1, $2, $3, $4) ON CONFLICT (epoch_id) DO NOTHING;

-- name: set_edition
-- Write that a day's edition was minted.
UPDATE epoch_editions SET token_id = $2, minted_at = $3 WHERE epoch_id = $1 RETURNING id;

-- name: bot_slugs
-- Read what bots are called.
SELECT id, slug FROM bot_identities WHERE id = ANY ($1);
