-- name: add_token
-- Make a token for the present owner of an active bot; nothing if somebody else asks, or it has as
-- many as it may.
INSERT INTO bot_tokens (id, bot_identity_id, token_hash, label, scopes, expires_at, created_by_address)
SELECT $1, b.id, $3, $4, $5, $6, o.owner_address
FROM bot_identities b
JOIN v_current_bot_identity_owner o ON o.bot_identity_id = b.id
JOIN wallets w ON w.address = o.owner_address
WHERE b.id = $2 AND w.user_id = $7 AND b.status = 'active' AND (
  SELECT count(*) FROM bot_tokens t
  WHERE t.bot_identity_id = b.id AND t.created_by_address = o.owner_address
    AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > clock_timestamp())) < $8
RETURNING id AS token_id, label, scopes, created_by_address, created_at, expires_at, revoked_at;

-- name: list_tokens
-- List the tokens of a bot that were made by an account's wallets, newest first.
SELECT t.id AS token_id, t.label, t.scopes, t.created_by_address, t.created_at, t.expires_at,
       t.revoked_at
FROM bot_tokens t JOIN wallets w ON w.address = t.created_by_address
WHERE t.bot_identity_id = $1 AND w.user_id = $2
ORDER BY t.created_at DESC, t.id LIMIT $3;

-- name: revoke_token
-- Revoke a token that an account's wallet made; harmless if it was revoked before.
UPDATE bot_tokens t SET revoked_at = coalesce(t.revoked_at, clock_timestamp())
FROM wallets w
WHERE t.id = $1 AND t.bot_identity_id = $2 AND w.address = t.created_by_address AND w.user_id = $3
RETURNING t.id;

-- name: read_status
-- Read what a token is good for: its maker must own the bot now, as an account that is active and not banned.
SELECT t.id AS token_id, b.id AS bot_id, b.player_id, b.slug, b.status, t.scopes, t.expires_at,
       t.revoked_at IS NOT NULL AS is_revoked,
       coalesce(t.expires_at <= clock_timestamp(), false) AS is_expired, EXISTS (
         SELECT FROM v_current_bot_identity_owner o JOIN wallets w ON w.address = o.owner_address
         WHERE o.bot_identity_id = b.id AND o.owner_address = t.created_by_address AND NOT EXISTS (
           SELECT FROM account_bans a WHERE a.user_id = w.user_id
             AND (a.ends_at IS NULL OR a.ends_at > clock_timestamp()))
           AND NOT EXISTS (SELECT FROM profiles f WHERE f.id = w.user_id AND NOT f.is_active)) AS is_owners
FROM bot_tokens t JOIN bot_identities b ON b.id = t.bot_identity_id
WHERE t.token_hash = $1;

-- name: still_good
-- Say which of these tokens are good still, as far as anything but time can end them.
SELECT token_id FROM good_bot_tokens WHERE token_id = ANY ($1);
