-- name: find_transaction
-- Find the transaction of a key. Accounts that were merged may have used the same key: of theirs, the one that says the same.
SELECT seq, transaction_id, kind, slot_id, key, reason, at, content_hash FROM ledger_transactions
WHERE account_id = $1 AND key = $2
ORDER BY content_hash = $3 AND slot_id IS NOT DISTINCT FROM $4 DESC, seq LIMIT 1;

-- name: lock_slot
-- Let one change at a time concern an account's slot, and read what is plausible in it.
SELECT s.play_time_s, s.is_modded,
       (SELECT sum(o.play_time_s) FROM save_slots o WHERE o.account_id = s.account_id)::bigint AS in_all
FROM save_slots s WHERE s.slot_id = $1 AND s.account_id = $2 FOR NO KEY UPDATE OF s;

-- name: read_play_time
-- Read how long an account has played in all its slots; nothing for who is no account, or was merged into another one.
SELECT coalesce((SELECT sum(o.play_time_s) FROM save_slots o WHERE o.account_id = p.id), 0)::bigint AS in_all
FROM profiles p WHERE p.id = $1 AND p.merged_into IS NULL;

-- name: lock_account
-- Let one transaction at a time concern an account. It is the row that every change of its stream locks anyway, so that there is one order of locks.
INSERT INTO progress_streams AS s (account_id, number) VALUES ($1, 0)
ON CONFLICT (account_id) DO UPDATE SET number = s.number;

-- name: add_transaction
-- Add a transaction, unless its key was used.
INSERT INTO ledger_transactions (account_id, slot_id, key, content_hash, kind, reason)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (account_id, key, merge_id) DO NOTHING
RETURNING seq, transaction_id, kind, slot_id, key, reason, at;

-- name: read_assets
-- Read some items and currencies, what a slot holds of them, and what the account has gained lately; the latter only where it is limited.
SELECT 'item' AS kind, d.item_id AS id, d.is_server_owned, d.is_retired, 'slot' AS scope, d.use_bundle,
       d.holding_max, d.limits, held.total AS held, held.gained,
       CASE WHEN d.limits ? 'per_hour' THEN (
           SELECT coalesce(sum(e.amount), 0) FROM ledger_entries e
           JOIN ledger_transactions t USING (transaction_id)
           WHERE e.item_id = d.item_id AND e.account_id = $1 AND e.holder = 'player' AND e.amount > 0
               AND t.kind <> 'give' AND e.at > clock_timestamp() - interval '1 hour') ELSE 0
       END::bigint AS last_hour,
       CASE WHEN d.limits ? 'per_day' THEN (
           SELECT coalesce(sum(e.amount), 0) FROM ledger_entries e
           JOIN ledger_transactions t USING (transaction_id)
           WHERE e.item_id = d.item_id AND e.account_id = $1 AND e.holder = 'player' AND e.amount > 0
               AND t.kind <> 'give' AND e.at > clock_timestamp() - interval '1 day') ELSE 0
       END::bigint AS last_day
FROM item_definitions d,
     LATERAL (SELECT coalesce(sum(i.quantity), 0)::bigint AS total, coalesce(sum(i.gained), 0)::bigint AS gained
              FROM inventory_items i WHERE i.slot_id = $2 AND i.item_id = d.item_id) held
WHERE d.item_id = ANY ($3::text[])
UNION ALL
SELECT 'currency', c.currency_id, c.is_server_owned, c.is_retired, c.scope, NULL, c.holding_max, c.limits,
       held.total, held.gained,
       CASE WHEN c.limits ? 'per_hour' THEN (
           SELECT coalesce(sum(e.amount), 0) FROM ledger_entries e
           JOIN ledger_transactions t USING (transaction_id)
           WHERE e.currency_id = c.currency_id AND e.account_id = $1 AND e.holder = 'player' AND e.amount > 0
               AND t.kind <> 'give' AND e.at > clock_timestamp() - interval '1 hour') ELSE 0
       END::bigint,
       CASE WHEN c.limits ? 'per_day' THEN (
           SELECT coalesce(sum(e.amount), 0) FROM ledger_entries e
           JOIN ledger_transactions t USING (transaction_id)
           WHERE e.currency_id = c.currency_id AND e.account_id = $1 AND e.holder = 'player' AND e.amount > 0
               AND t.kind <> 'give' AND e.at > clock_timestamp() - interval '1 day') ELSE 0
       END::bigint
FROM currencies c,
     LATERAL (SELECT coalesce(sum(b.balance), 0)::bigint AS total, coalesce(sum(b.gained), 0)::bigint AS gained
              FROM currency_balances b
              WHERE b.account_id = $1 AND b.currency_id = c.currency_id
                  AND b.slot_id IS NOT DISTINCT FROM CASE c.scope WHEN 'slot' THEN $2::uuid END) held
WHERE c.currency_id = ANY ($4::text[]);

-- name: read_stacks
-- Read what a slot holds of some stacks.
SELECT item_id, stack_key, quantity FROM inventory_items
WHERE slot_id = $1 AND item_id = ANY ($2::text[]);

-- name: add_entries
-- Add the entries of a transaction in their order: each of the player's with the world's against it. The database applies them.
INSERT INTO ledger_entries (transaction_id, account_id, holder, slot_id, item_id, stack_key, metadata,
                            currency_id, amount)
SELECT $1, $2, side.holder, CASE side.holder WHEN 'player' THEN m.slot_id END, m.item_id, m.stack_key,
       m.metadata, m.currency_id, m.amount * side.sign
FROM unnest($3::uuid[], $4::text[], $5::text[], $6::jsonb[], $7::text[], $8::bigint[]) WITH ORDINALITY
         AS m (slot_id, item_id, stack_key, metadata, currency_id, amount, place),
     (VALUES ('player', 1), ('world', -1)) AS side (holder, sign)
ORDER BY m.place, side.holder
RETURNING holder, slot_id, item_id, stack_key, currency_id, amount, balance;

-- name: add_unlocks
-- Unlock for an account what it does not have; gives what that was.
INSERT INTO unlocks (account_id, kind, unlock_id, transaction_id, slot_id)
SELECT $1, u.kind, u.unlock_id, $2, $3 FROM unnest($4::text[], $5::text[]) AS u (kind, unlock_id)
ON CONFLICT (account_id, kind, unlock_id) DO NOTHING RETURNING kind, unlock_id;

-- name: remove_unlocks
-- Take unlocks back.
DELETE FROM unlocks x USING unnest($2::text[], $3::text[]) AS u (kind, unlock_id)
WHERE x.account_id = $1 AND x.kind = u.kind AND x.unlock_id = u.unlock_id;

-- name: read_changes
-- Read the player's entries of some transactions.
SELECT transaction_id, slot_id, item_id, stack_key, currency_id, amount, balance FROM ledger_entries
WHERE transaction_id = ANY ($1::uuid[]) AND holder = 'player' ORDER BY entry_id;

-- name: read_unlocked
-- Read what some transactions of an account unlocked.
SELECT transaction_id, kind, unlock_id FROM unlocks
WHERE account_id = $1 AND transaction_id = ANY ($2::uuid[]) ORDER BY kind, unlock_id;

-- name: read_holdings
-- Read what a slot holds, by item and currency, with the currencies of its account.
SELECT 'item' AS kind, item_id AS id, sum(quantity)::bigint AS held FROM inventory_items
WHERE slot_id = $2 AND account_id = $1 AND quantity > 0 GROUP BY item_id
UNION ALL
SELECT 'currency', currency_id, balance FROM currency_balances
WHERE account_id = $1 AND (slot_id = $2 OR slot_id IS NULL) AND balance > 0;

-- name: read_held_in_slot
-- Read what a slot alone holds, by item and currency.
SELECT item_id AS id, sum(quantity)::bigint AS held FROM inventory_items
WHERE slot_id = $2 AND account_id = $1 AND quantity > 0 GROUP BY item_id
UNION ALL
SELECT currency_id, balance FROM currency_balances
WHERE account_id = $1 AND slot_id = $2 AND balance > 0;

-- name: list_items
-- List the stacks of a slot after one of them; whose it may be is said by the policies.
SELECT entry_id, item_id, quantity, stack_key, metadata FROM inventory_items
WHERE slot_id = $1 AND account_id = $5 AND quantity > 0 AND (item_id, stack_key) > ($2, $3)
ORDER BY item_id, stack_key LIMIT $4;

-- name: list_balances
-- List the balances of an account and one of its slots.
SELECT currency_id, balance FROM currency_balances
WHERE account_id = $1 AND (slot_id = $2 OR slot_id IS NULL) AND balance > 0 ORDER BY currency_id;

-- name: has_slot
-- Say whether somebody has a slot.
SELECT EXISTS (SELECT FROM save_slots WHERE slot_id = $1 AND account_id = $2);

-- name: list_unlocks
-- List what an account has unlocked, of one kind, after an id.
SELECT unlock_id, slot_id, at FROM unlocks
WHERE account_id = $1 AND kind = $2 AND unlock_id > $3 ORDER BY unlock_id LIMIT $4;

-- name: list_transactions
-- List an account's transactions, all or those of a slot, below a place, newest first.
SELECT seq, transaction_id, kind, slot_id, key, reason, at FROM ledger_transactions
WHERE account_id = $1 AND ($2::uuid IS NULL OR slot_id = $2) AND seq < $3
ORDER BY seq DESC LIMIT $4;

-- name: add_flag
-- Put something on the review queue, or count it where the same is there.
INSERT INTO economy_flags AS f (account_id, slot_id, transaction_id, rule, asset, reason, was_refused)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (account_id, slot_id, rule, asset, was_refused) WHERE status = 'open' DO UPDATE SET
    transaction_id = excluded.transaction_id, reason = excluded.reason,
    times = least(f.times::bigint + 1, 2147483647)::int, last_at = clock_timestamp();

-- name: list_flags
-- List the entries of the review queue of one status, newest first; those of an account with those of what was merged into it.
SELECT seq, flag_id, account_id, slot_id, transaction_id, rule, asset, reason, was_refused, times, status,
       note, first_at, last_at, decided_at
FROM economy_flags
WHERE status = $1 AND seq < $3 AND ($2::uuid IS NULL OR account_id IN (
    SELECT p.id FROM profiles p WHERE p.id = $2 OR p.merged_into = $2))
ORDER BY seq DESC LIMIT $4;

-- name: lock_flag
-- Read an entry of the review queue, and let one decision at a time concern it.
SELECT seq, flag_id, account_id, slot_id, transaction_id, rule, asset, reason, was_refused, times, status,
       note, first_at, last_at, decided_at
FROM economy_flags WHERE flag_id = $1 FOR NO KEY UPDATE;

-- name: decide_flag
-- Decide an entry of the review queue.
UPDATE economy_flags SET status = $2, note = $3, decided_at = clock_timestamp()
WHERE flag_id = $1
RETURNING seq, flag_id, account_id, slot_id, transaction_id, rule, asset, reason, was_refused, times, status,
       note, first_at, last_at, decided_at;
