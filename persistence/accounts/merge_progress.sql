-- name: lock_slots
-- Lock the slots of some accounts, in an order that is always the same.
SELECT slot_id FROM save_slots WHERE account_id = ANY ($1) ORDER BY slot_id FOR UPDATE;

-- name: lock_streams
-- Lock the streams of some accounts, in an order that is always the same.
INSERT INTO progress_streams AS s (account_id)
SELECT id FROM profiles WHERE id = ANY ($1) ORDER BY id
ON CONFLICT (account_id) DO UPDATE SET number = s.number;

-- name: read_totals
-- Read what some accounts hold together, by slot and asset, and what their ledgers say about it.
SELECT 'item' AS kind, slot_id::text, item_id AS asset, stack_key AS what, sum(quantity) AS total, sum(gained) AS more
FROM inventory_items WHERE account_id = ANY ($1)
GROUP BY slot_id, item_id, stack_key HAVING sum(quantity) <> 0 OR sum(gained) <> 0
UNION ALL
SELECT 'currency', slot_id::text, currency_id, '', sum(balance), sum(gained)
FROM currency_balances WHERE account_id = ANY ($1)
GROUP BY slot_id, currency_id HAVING sum(balance) <> 0 OR sum(gained) <> 0
UNION ALL
SELECT 'ledger', slot_id::text, coalesce(item_id, currency_id), holder, sum(amount), count(*)
FROM ledger_entries WHERE account_id = ANY ($1) GROUP BY slot_id, item_id, currency_id, holder
ORDER BY 1, 2, 3, 4;

-- name: read_balances
-- Read the balances of an account that is merged, and what they add up to in the account that stays.
SELECT b.currency_id, b.balance AS moved, b.balance + coalesce(o.balance, 0) AS total
FROM currency_balances b
LEFT JOIN currency_balances o ON o.account_id = $2 AND o.slot_id IS NULL AND o.currency_id = b.currency_id
WHERE b.account_id = $1 AND b.slot_id IS NULL AND b.balance > 0 ORDER BY b.currency_id;

-- name: move_ledger
-- Move some transactions of the ledger; says how many.
SELECT playhall_auth.move_ledger($1, $2);

-- name: move_balances
-- Add the balances of one account to those of the other; says how many.
SELECT playhall_auth.move_balances($1);

-- name: rename_moved_slots
-- Rename moved slots whose names are taken.
SELECT slot_id, name, renamed FROM playhall_auth.rename_moved_slots($1) ORDER BY slot_id;

-- name: move_balances_back
-- Give balances back, as far as they were not spent.
SELECT playhall_auth.move_balances_back($1);

-- name: move_ledger_back
-- Give some transactions back; says how many.
SELECT playhall_auth.move_ledger_back($1, $2);

-- name: finish_move_back
-- Give back what was done since in slots that go back.
SELECT playhall_auth.finish_move_back($1);

-- name: refuse_as_merged
-- Refuse for an account each purpose that another one refuses, unless it does already.
INSERT INTO consents (account_id, purpose, is_granted, source, policy_version)
SELECT $1, theirs.purpose, false, 'merge', theirs.policy_version
FROM (SELECT DISTINCT ON (purpose) purpose, is_granted, policy_version
      FROM consents WHERE account_id = $2 ORDER BY purpose, version DESC) theirs
LEFT JOIN (SELECT DISTINCT ON (purpose) purpose, is_granted
           FROM consents WHERE account_id = $1 ORDER BY purpose, version DESC) own USING (purpose)
WHERE NOT theirs.is_granted AND own.is_granted IS DISTINCT FROM false
ORDER BY theirs.purpose RETURNING purpose;

-- name: grant_as_before
-- Grant again what an account had granted until a merge refused it, unless an account that is merged into it refuses.
INSERT INTO consents (account_id, purpose, is_granted, source, policy_version)
SELECT $1, own.purpose, true, 'merge', own.policy_version
FROM (SELECT DISTINCT ON (purpose) purpose, is_granted, policy_version
      FROM consents WHERE account_id = $1 AND source <> 'merge' ORDER BY purpose, version DESC) own
JOIN (SELECT DISTINCT ON (purpose) purpose, is_granted, source
      FROM consents WHERE account_id = $1 ORDER BY purpose, version DESC) present USING (purpose)
WHERE own.is_granted AND present.source = 'merge' AND NOT present.is_granted AND NOT EXISTS (
    SELECT FROM (SELECT DISTINCT ON (c.account_id) c.is_granted
                 FROM consents c JOIN profiles f ON f.id = c.account_id
                 WHERE f.merged_into = $1 AND c.purpose = own.purpose
                 ORDER BY c.account_id, c.version DESC) part
    WHERE NOT part.is_granted)
ORDER BY own.purpose;
