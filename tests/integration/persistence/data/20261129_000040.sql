INSERT INTO item_definitions (item_id, name) VALUES ('iron', 'Iron');
INSERT INTO currencies (currency_id, name, scope) VALUES ('gold', 'Gold', 'account');
INSERT INTO recipes (recipe_id, name, takes, gives)
VALUES ('smelt', 'Smelt', '{"items": {"iron": 2}}', '{"currencies": {"gold": 1}}');
INSERT INTO ledger_transactions (transaction_id, account_id, slot_id, key, content_hash, kind)
VALUES ('00000000-0000-4000-8000-000000000401', '00000000-0000-4000-8000-000000000001',
        '00000000-0000-4000-8000-000000000271', 'quest:first', 'x', 'grant');
INSERT INTO ledger_entries (transaction_id, account_id, holder, slot_id, item_id, currency_id, amount)
SELECT transaction_id, account_id, holder, slot, item, currency, amount
FROM ledger_transactions, (VALUES
    ('player', '00000000-0000-4000-8000-000000000271'::uuid, 'iron', NULL, 3),
    ('world', NULL, 'iron', NULL, -3),
    ('player', NULL, NULL, 'gold', 5),
    ('world', NULL, NULL, 'gold', -5)) AS entry (holder, slot, item, currency, amount)
WHERE transaction_id = '00000000-0000-4000-8000-000000000401';
INSERT INTO unlocks (account_id, kind, unlock_id, transaction_id)
VALUES ('00000000-0000-4000-8000-000000000001', 'lore', 'founding', '00000000-0000-4000-8000-000000000401');
INSERT INTO economy_flags (account_id, rule, asset, reason, was_refused)
VALUES ('00000000-0000-4000-8000-000000000001', 'per_hour', 'item:iron', '3 in an hour', false);
