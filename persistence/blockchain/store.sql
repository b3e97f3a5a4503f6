-- name: lock_contract
-- Keep other nodes from writing about a contract until this transaction ends; say whether it is free.
SELECT pg_try_advisory_xact_lock(hashtext('playhall chain'), hashtext($1 || ' ' || $2));

-- name: await_contract
-- The same, but wait for it.
SELECT pg_advisory_xact_lock(hashtext('playhall chain'), hashtext($1 || ' ' || $2));

-- name: find_cursor
-- Read how far a contract was read.
SELECT block_number, block_hash, block_at, reconciled_at FROM chain_cursors
WHERE chain_id = $1 AND contract_address = $2;

-- name: begin_reading
-- Begin with a contract after a block.
INSERT INTO chain_cursors (chain_id, contract_address, block_number, block_hash, block_at)
VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING;

-- name: move_cursor
-- Say how far a contract was read now.
UPDATE chain_cursors SET block_number = $3, block_hash = $4, block_at = $5, updated_at = now()
WHERE chain_id = $1 AND contract_address = $2;

-- name: keep_blocks
-- Keep the hashes of blocks, to notice a reorganisation.
INSERT INTO chain_blocks (chain_id, contract_address, block_number, block_hash)
SELECT $1, $2, * FROM unnest($3::bigint[], $4::text[])
ON CONFLICT (chain_id, contract_address, block_number) DO UPDATE SET block_hash = excluded.block_hash;

-- name: forget_old_blocks
-- Forget all but the last few blocks.
DELETE FROM chain_blocks
WHERE chain_id = $1 AND contract_address = $2 AND block_number < (
  SELECT min(block_number) FROM (
    SELECT block_number FROM chain_blocks WHERE chain_id = $1 AND contract_address = $2
    ORDER BY block_number DESC LIMIT $3) AS last);

-- name: list_blocks
-- List the blocks that are kept, the newest first.
SELECT block_number, block_hash FROM chain_blocks
WHERE chain_id = $1 AND contract_address = $2 ORDER BY block_number DESC;

-- name: keep_transfers
-- Keep transfers as they were read.
INSERT INTO chain_transfers
  (chain_id, contract_address, block_number, log_index, token_id, from_address, to_address, occurred_at)
SELECT $1, $2, * FROM unnest(
  $3::bigint[], $4::int[], $5::numeric[], $6::text[], $7::text[], $8::timestamptz[]);

-- name: take_back_transfers
-- Take back the transfers after a block, and name their tokens.
WITH gone AS (
  DELETE FROM chain_transfers
  WHERE chain_id = $1 AND contract_address = $2 AND block_number > $3 RETURNING token_id)
SELECT token_id, count(*) AS transfers FROM gone GROUP BY token_id;

-- name: take_back_blocks
-- Take back the blocks after one.
DELETE FROM chain_blocks WHERE chain_id = $1 AND contract_address = $2 AND block_number > $3;

-- name: find_bots_of_tokens
-- Find the bots that are some tokens, and keep others from changing their owners meanwhile.
SELECT id, token_id FROM bot_identities
WHERE chain_id = $1 AND contract_address = $2 AND token_id = ANY ($3::numeric[]) ORDER BY id
FOR NO KEY UPDATE;

-- name: find_late_bots
-- Find bots whose token was transferred before they were registered.
SELECT b.id, b.token_id FROM bot_identities b
WHERE b.chain_id = $1 AND b.contract_address = $2 AND b.id > $3
  AND NOT EXISTS (
    SELECT FROM bot_identity_owners o WHERE o.bot_identity_id = b.id AND o.source = 'onchain')
  AND EXISTS (
    SELECT FROM chain_transfers t
    WHERE t.chain_id = b.chain_id AND t.contract_address = b.contract_address
      AND t.token_id = b.token_id)
ORDER BY b.id LIMIT $4;

-- name: list_transfers
-- List a token's transfers in the chain's order.
SELECT occurred_at, to_address FROM chain_transfers
WHERE chain_id = $1 AND contract_address = $2 AND token_id = $3
ORDER BY block_number, log_index;

-- name: list_corrections
-- List what was corrected of a bot's owners.
SELECT effective_from, owner_address FROM bot_identity_owners
WHERE bot_identity_id = $1 AND source = 'admin_correction';

-- name: forget_periods
-- Delete periods that the chain does not have any more.
DELETE FROM bot_identity_owners o
WHERE o.bot_identity_id = $1 AND o.source = 'onchain' AND NOT EXISTS (
  SELECT FROM unnest($2::text[], $3::text[], $4::timestamptz[]) AS period (owner, source, since)
  WHERE period.owner = o.owner_address AND period.source = o.source AND period.since = o.effective_from);

-- name: close_periods
-- Close periods where they end now; before others are opened, for only one may be open.
UPDATE bot_identity_owners o SET effective_to = period.until
FROM unnest($2::timestamptz[], $3::timestamptz[]) AS period (since, until)
WHERE o.bot_identity_id = $1 AND o.effective_from = period.since AND period.until IS NOT NULL
  AND o.effective_to IS DISTINCT FROM period.until;

-- name: keep_periods
-- Keep the periods that are new, and open again what lasts again.
INSERT INTO bot_identity_owners (bot_identity_id, owner_address, source, effective_from, effective_to)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[])
ON CONFLICT (bot_identity_id, effective_from) DO UPDATE SET effective_to = excluded.effective_to
WHERE bot_identity_owners.effective_to IS DISTINCT FROM excluded.effective_to;

-- name: list_bots
-- List bots of a contract, a page at a time.
SELECT id, token_id FROM bot_identities
WHERE chain_id = $1 AND contract_address = $2 AND id > $3 ORDER BY id LIMIT $4;

-- name: lock_bots
-- Keep others from changing bots' owners meanwhile.
SELECT FROM bot_identities WHERE id = ANY ($1::uuid[]) ORDER BY id FOR NO KEY UPDATE;

-- name: owners_at
-- Say who owned some bots at a time, by the history.
SELECT bot_identity_id, owner_address FROM bot_identity_owners
WHERE bot_identity_id = ANY ($1::uuid[]) AND effective_from <= $2
  AND (effective_to IS NULL OR effective_to > $2);

-- name: close_for_correction
-- End the period in force at a time, and say when the one that takes its place ends.
WITH closed AS (
  UPDATE bot_identity_owners SET effective_to = $2
  WHERE bot_identity_id = $1 AND effective_from <= $2 AND (effective_to IS NULL OR effective_to > $2))
SELECT min(effective_from) FROM bot_identity_owners WHERE bot_identity_id = $1 AND effective_from > $2;

-- name: write_correction
-- Write who owns a bot from a time on, whatever was recorded of that time before.
INSERT INTO bot_identity_owners (bot_identity_id, owner_address, source, effective_from, effective_to)
VALUES ($1, $2, 'admin_correction', $3, $4)
ON CONFLICT (bot_identity_id, effective_from) DO UPDATE
SET owner_address = excluded.owner_address, source = excluded.source, effective_to = excluded.effective_to;

-- name: note_reconciled
-- Note when the history was compared with the chain, or that it must be compared again.
UPDATE chain_cursors SET reconciled_at = $3 WHERE chain_id = $1 AND contract_address = $2;
