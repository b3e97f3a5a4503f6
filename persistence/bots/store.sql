-- name: add_bot
-- Register a bot with its player, unless its maker has as many as they may; returns its id.
WITH allowed AS (
  SELECT WHERE (SELECT count(*) FROM bot_identities WHERE created_by_user_id = $4) < $10),
player AS (
  INSERT INTO players (id, display_name, avatar_seed, color, is_bot)
  SELECT $3, $2, $2, $9, true FROM allowed)
INSERT INTO bot_identities
  (id, slug, player_id, created_by_user_id, chain_id, contract_address, token_id, metadata_uri)
SELECT $1, $2, $3, $4, $5, $6, $7::text::numeric, $8 FROM allowed
RETURNING id;

-- name: has_wallet
-- Say whether an account has a wallet.
SELECT EXISTS (SELECT FROM wallets WHERE user_id = $1);

-- name: read_bot
-- Read a bot by its slug or its id.
SELECT id AS bot_id, player_id, slug, chain_id, contract_address, token_id::text AS token_id,
       metadata_uri, active_avatar_id, status, created_at
FROM bot_identities WHERE slug = $1 OR id = $2;

-- name: list_bots
-- List bots after a slug, by slug; only those whose slugs have a text in them.
SELECT id AS bot_id, player_id, slug, chain_id, contract_address, token_id::text AS token_id,
       metadata_uri, active_avatar_id, status, created_at
FROM bot_identities WHERE slug > $1 AND strpos(slug, $2) > 0
ORDER BY slug LIMIT $3;

-- name: own_bots
-- List the bots that an account's wallets own now, after a slug, by slug.
SELECT b.id AS bot_id, b.player_id, b.slug, b.chain_id, b.contract_address,
       b.token_id::text AS token_id, b.metadata_uri, b.active_avatar_id, b.status, b.created_at
FROM wallets w
JOIN v_current_bot_identity_owner o ON o.owner_address = w.address
JOIN bot_identities b ON b.id = o.bot_identity_id
WHERE w.user_id = $1 AND b.slug > $2 AND strpos(b.slug, $3) > 0
ORDER BY b.slug LIMIT $4;

-- name: owners_at
-- Read who owned bots at a moment: an owner's time begins with its first moment and ends before
-- the next one's.
SELECT bot_identity_id, owner_address FROM bot_identity_owners
WHERE bot_identity_id = ANY ($1) AND effective_from <= $2
  AND (effective_to IS NULL OR effective_to > $2);

-- name: list_owners
-- Read a bot's owners, the present one first.
SELECT owner_address AS address, source, effective_from, effective_to FROM bot_identity_owners
WHERE bot_identity_id = $1 ORDER BY effective_from DESC LIMIT $2;

-- name: lock_bot
-- Let one act at a time change a bot.
SELECT status FROM bot_identities WHERE id = $1 FOR NO KEY UPDATE;

-- name: current_owner
-- Read who owns a bot now.
SELECT owner_address FROM v_current_bot_identity_owner WHERE bot_identity_id = $1;

-- name: end_ownership
-- End the present owner's time; later than it began, however coarse the clock.
UPDATE bot_identity_owners
SET effective_to = greatest(clock_timestamp(), effective_from + interval '1 microsecond')
WHERE bot_identity_id = $1 AND effective_to IS NULL
RETURNING effective_to;

-- name: begin_ownership
-- Begin an owner's time as an admin says.
INSERT INTO bot_identity_owners (bot_identity_id, owner_address, source, effective_from)
VALUES ($1, $2, 'admin_correction', coalesce($3, clock_timestamp()));

-- name: set_status
-- Suspend or retire a bot, or make it active again.
UPDATE bot_identities SET status = $2 WHERE id = $1;

-- name: list_snapshots
-- List what a bot had come to, newest first, after a place.
SELECT id, epoch_id, snapshot_uri, snapshot_hash, created_at FROM bot_stats_snapshots
WHERE bot_identity_id = $1 AND created_at <= $2 AND (created_at < $2 OR id > $3)
ORDER BY created_at DESC, id LIMIT $4;

-- name: standing_of
-- Read a bot's status and whether an account's wallet owns it now; acts that add to it come one
-- after the other.
SELECT b.status, EXISTS (
  SELECT FROM v_current_bot_identity_owner o JOIN wallets w ON w.address = o.owner_address
  WHERE o.bot_identity_id = b.id AND w.user_id = $2) AS is_owner
FROM bot_identities b WHERE b.id = $1 FOR NO KEY UPDATE OF b;
