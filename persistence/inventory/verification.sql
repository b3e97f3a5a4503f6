-- name: list_accounts
-- List accounts after one of them, by id.
SELECT id FROM profiles WHERE id > $1 AND ($2::uuid IS NULL OR id = $2) ORDER BY id LIMIT $3;

-- name: count_transactions
-- Count the transactions of some accounts.
SELECT count(*) FROM ledger_transactions WHERE account_id = ANY ($1::uuid[]);

-- name: unbalanced
-- List the transactions of some accounts that do not sum to zero for every item and currency.
SELECT account_id, transaction_id, coalesce('item ' || item_id, 'currency ' || currency_id) AS asset,
       sum(amount)::text AS total
FROM ledger_entries WHERE account_id = ANY ($1::uuid[])
GROUP BY account_id, transaction_id, item_id, currency_id HAVING sum(amount) <> 0;

-- name: wrong_items
-- List the stacks in slots of some accounts that are not the sum of the ledger. Of slots that are gone, nothing is held: what they held was discarded.
WITH counted AS (
    SELECT e.account_id, e.slot_id, e.item_id, e.stack_key, sum(e.amount) AS quantity,
           sum(e.amount) FILTER (WHERE e.amount > 0 AND t.kind <> 'give'
               AND EXISTS (SELECT FROM save_slots s WHERE s.slot_id = e.slot_id)) AS gained
    FROM ledger_entries e JOIN ledger_transactions t USING (transaction_id)
    WHERE e.account_id = ANY ($1::uuid[]) AND e.holder = 'player' AND e.item_id IS NOT NULL
    GROUP BY e.account_id, e.slot_id, e.item_id, e.stack_key),
held AS (SELECT * FROM inventory_items WHERE account_id = ANY ($1::uuid[]))
SELECT account_id, slot_id, 'item ' || item_id || CASE stack_key WHEN '' THEN '' ELSE ' (' || stack_key || ')' END AS asset,
       coalesce(h.quantity, 0)::text AS held, coalesce(c.quantity, 0)::text AS counted,
       coalesce(h.gained, 0)::text AS held_gained, coalesce(c.gained, 0)::text AS counted_gained
FROM held h FULL JOIN counted c USING (account_id, slot_id, item_id, stack_key)
WHERE coalesce(h.quantity, 0) <> coalesce(c.quantity, 0) OR coalesce(h.gained, 0) <> coalesce(c.gained, 0)
ORDER BY account_id, slot_id, item_id, stack_key;

-- name: wrong_balances
-- List the balances of some accounts that are not the sum of the ledger.
WITH counted AS (
    SELECT e.account_id, e.slot_id, e.currency_id, sum(e.amount) AS balance,
           sum(e.amount) FILTER (WHERE e.amount > 0 AND t.kind <> 'give' AND (e.slot_id IS NULL
               OR EXISTS (SELECT FROM save_slots s WHERE s.slot_id = e.slot_id))) AS gained
    FROM ledger_entries e JOIN ledger_transactions t USING (transaction_id)
    WHERE e.account_id = ANY ($1::uuid[]) AND e.holder = 'player' AND e.currency_id IS NOT NULL
    GROUP BY e.account_id, e.slot_id, e.currency_id),
held AS (SELECT * FROM currency_balances WHERE account_id = ANY ($1::uuid[]))
SELECT coalesce(h.account_id, c.account_id) AS account_id, coalesce(h.slot_id, c.slot_id) AS slot_id,
       'currency ' || coalesce(h.currency_id, c.currency_id) AS asset,
       coalesce(h.balance, 0)::text AS held, coalesce(c.balance, 0)::text AS counted,
       coalesce(h.gained, 0)::text AS held_gained, coalesce(c.gained, 0)::text AS counted_gained
FROM held h FULL JOIN counted c
    ON c.account_id = h.account_id AND c.currency_id = h.currency_id
    AND coalesce(c.slot_id::text, '') = coalesce(h.slot_id::text, '')
WHERE coalesce(h.balance, 0) <> coalesce(c.balance, 0) OR coalesce(h.gained, 0) <> coalesce(c.gained, 0)
ORDER BY 1, 2, 3;
