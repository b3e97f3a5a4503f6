-- name: forget_nonces
-- Forget some nonces that have expired; says how many.
WITH gone AS (
  DELETE FROM wallet_nonces WHERE nonce IN (
    SELECT nonce FROM wallet_nonces WHERE expires_at <= clock_timestamp()
    LIMIT $1 FOR UPDATE SKIP LOCKED)
  RETURNING 1)
SELECT count(*) FROM gone;

-- name: add_nonce
-- Keep a nonce for an account, unless it has as many as it may; returns when it expires.
INSERT INTO wallet_nonces (nonce, user_id, expires_at)
SELECT $1, $2, clock_timestamp() + make_interval(secs => $3)
WHERE (SELECT count(*) FROM wallet_nonces
       WHERE user_id = $2 AND expires_at > clock_timestamp()) < $4
RETURNING expires_at;

-- name: nonce_wait
-- How many seconds until an account that has too many nonces may have another.
SELECT extract(epoch FROM expires_at - clock_timestamp())::float8 FROM wallet_nonces
WHERE user_id = $1 ORDER BY expires_at DESC OFFSET $2 - 1 LIMIT 1;

-- name: use_nonce
-- Use up an account's nonce; of two that come at once, one gets nothing.
UPDATE wallet_nonces SET used_at = clock_timestamp()
WHERE nonce = $1 AND user_id = $2 AND used_at IS NULL AND expires_at > clock_timestamp()
RETURNING nonce;

-- name: link_wallet
-- Link an address to an account that has not as many as it may; nothing if it is linked already.
INSERT INTO wallets (address, user_id)
SELECT $1, $2 WHERE (SELECT count(*) FROM wallets WHERE user_id = $2) < $3
ON CONFLICT (address) DO NOTHING
RETURNING address;

-- name: account_of_wallet
-- Read which account an address is linked to.
SELECT user_id FROM wallets WHERE address = $1;

-- name: list_wallets
-- List an account's wallets, the first linked first.
SELECT address, linked_at FROM wallets WHERE user_id = $1 ORDER BY linked_at, address;

-- name: unlink_wallet
-- Unlink an address from the account that it is linked to.
DELETE FROM wallets WHERE address = $1 AND user_id = $2 RETURNING address;
