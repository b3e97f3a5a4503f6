-- name: hold_items
-- Read some items, and keep them from being retired or deleted until the transaction ends.
SELECT item_id AS id, is_retired FROM item_definitions WHERE item_id = ANY ($1::text[]) ORDER BY item_id FOR SHARE;

-- name: hold_currencies
-- Read some currencies, and keep them from being retired or deleted until the transaction ends.
SELECT currency_id AS id, is_retired FROM currencies WHERE currency_id = ANY ($1::text[])
ORDER BY currency_id FOR SHARE;

-- name: forget
-- Forget what the reward of a quest, or of games, had.
DELETE FROM reward_assets WHERE quest_id = $1::uuid OR reward_id = $2::uuid;

-- name: refer
-- Note what the reward of a quest, or of games, has.
INSERT INTO reward_assets (quest_id, reward_id, item_id, currency_id)
SELECT $1::uuid, $2::uuid, item_id, NULL::text FROM unnest($3::text[]) AS item_id
UNION ALL SELECT $1::uuid, $2::uuid, NULL::text, currency_id FROM unnest($4::text[]) AS currency_id;
