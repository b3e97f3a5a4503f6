-- name: read_item
-- Read an item.
SELECT item_id, revision, updated_at, to_jsonb(d) - 'item_id' - 'revision' - 'updated_at' AS content
FROM item_definitions d WHERE item_id = $1;

-- name: list_items
-- List items after one of them, as everybody sees them.
SELECT d.item_id, d.revision, d.updated_at, jsonb_build_object('name', d.name, 'description', d.description,
    'is_server_owned', d.is_server_owned, 'is_retired', d.is_retired, 'use_bundle', d.use_bundle,
    'holding_max', d.holding_max) AS content
FROM item_definitions d WHERE d.item_id > $1 ORDER BY d.item_id LIMIT $2;

-- name: add_item
-- Add an item, unless there is one or there are as many as there may be.
INSERT INTO item_definitions (item_id, name, description, is_server_owned, is_retired, use_bundle, holding_max,
                              limits)
SELECT $1, c.name, c.description, c.is_server_owned, c.is_retired, nullif(c.use_bundle, 'null'), c.holding_max,
       c.limits
FROM jsonb_to_record($2::jsonb) AS c (name text, description text, is_server_owned bool, is_retired bool,
                                      use_bundle jsonb, holding_max bigint, limits jsonb)
WHERE (SELECT count(*) FROM item_definitions) < $3
ON CONFLICT (item_id) DO NOTHING RETURNING revision;

-- name: change_item
-- Change an item of a revision.
UPDATE item_definitions d SET name = c.name, description = c.description,
    is_server_owned = c.is_server_owned, is_retired = c.is_retired,
    use_bundle = nullif(c.use_bundle, 'null'), holding_max = c.holding_max, limits = c.limits,
    revision = d.revision + 1, updated_at = clock_timestamp()
FROM jsonb_to_record($2::jsonb) AS c (name text, description text, is_server_owned bool, is_retired bool,
                                      use_bundle jsonb, holding_max bigint, limits jsonb)
WHERE d.item_id = $1 AND d.revision = $3 RETURNING d.revision;

-- name: delete_item
-- Delete an item of a revision, unless a recipe or the use of another names it.
DELETE FROM item_definitions d WHERE d.item_id = $1 AND d.revision = $2
    AND NOT EXISTS (SELECT FROM recipes r WHERE r.takes -> 'items' ? $1 OR r.gives -> 'items' ? $1)
    AND NOT EXISTS (SELECT FROM item_definitions o WHERE o.item_id <> $1 AND o.use_bundle -> 'items' ? $1)
RETURNING d.revision;

-- name: read_currency
-- Read a currency.
SELECT currency_id, revision, updated_at, to_jsonb(d) - 'currency_id' - 'revision' - 'updated_at' AS content
FROM currencies d WHERE currency_id = $1;

-- name: list_currencies
-- List currencies after one of them, as everybody sees them.
SELECT d.currency_id, d.revision, d.updated_at, jsonb_build_object('name', d.name,
    'description', d.description, 'scope', d.scope, 'is_server_owned', d.is_server_owned,
    'is_retired', d.is_retired, 'holding_max', d.holding_max) AS content
FROM currencies d WHERE d.currency_id > $1 ORDER BY d.currency_id LIMIT $2;

-- name: add_currency
-- Add a currency, unless there is one or there are as many as there may be.
INSERT INTO currencies (currency_id, name, description, scope, is_server_owned, is_retired, holding_max, limits)
SELECT $1, c.name, c.description, c.scope, c.is_server_owned, c.is_retired, c.holding_max, c.limits
FROM jsonb_to_record($2::jsonb) AS c (name text, description text, scope text, is_server_owned bool,
                                      is_retired bool, holding_max bigint, limits jsonb)
WHERE (SELECT count(*) FROM currencies) < $3
ON CONFLICT (currency_id) DO NOTHING RETURNING revision;

-- name: change_currency
-- Change a currency of a revision; whose balances there are is fixed once it was used.
UPDATE currencies d SET name = c.name, description = c.description, scope = c.scope,
    is_server_owned = c.is_server_owned, is_retired = c.is_retired, holding_max = c.holding_max,
    limits = c.limits, revision = d.revision + 1, updated_at = clock_timestamp()
FROM jsonb_to_record($2::jsonb) AS c (name text, description text, scope text, is_server_owned bool,
                                      is_retired bool, holding_max bigint, limits jsonb)
WHERE d.currency_id = $1 AND d.revision = $3
    AND (c.scope = d.scope OR NOT EXISTS (SELECT FROM ledger_entries e WHERE e.currency_id = $1))
RETURNING d.revision;

-- name: delete_currency
-- Delete a currency of a revision, unless a recipe or the use of an item names it.
DELETE FROM currencies d WHERE d.currency_id = $1 AND d.revision = $2
    AND NOT EXISTS (SELECT FROM recipes r WHERE r.takes -> 'currencies' ? $1 OR r.gives -> 'currencies' ? $1)
    AND NOT EXISTS (SELECT FROM item_definitions o WHERE o.use_bundle -> 'currencies' ? $1)
RETURNING d.revision;

-- name: read_recipe
-- Read a recipe.
SELECT recipe_id, revision, updated_at, to_jsonb(d) - 'recipe_id' - 'revision' - 'updated_at' AS content
FROM recipes d WHERE recipe_id = $1;

-- name: list_recipes
-- List recipes after one of them.
SELECT d.recipe_id, d.revision, d.updated_at, to_jsonb(d) - 'recipe_id' - 'revision' - 'updated_at' AS content
FROM recipes d WHERE d.recipe_id > $1 ORDER BY d.recipe_id LIMIT $2;

-- name: add_recipe
-- Add a recipe, unless there is one or there are as many as there may be.
INSERT INTO recipes (recipe_id, name, description, kind, is_retired, takes, gives)
SELECT $1, c.name, c.description, c.kind, c.is_retired, c.takes, c.gives
FROM jsonb_to_record($2::jsonb) AS c (name text, description text, kind text, is_retired bool, takes jsonb,
                                      gives jsonb)
WHERE (SELECT count(*) FROM recipes) < $3
ON CONFLICT (recipe_id) DO NOTHING RETURNING revision;

-- name: change_recipe
-- Change a recipe of a revision.
UPDATE recipes d SET name = c.name, description = c.description, kind = c.kind, is_retired = c.is_retired,
    takes = c.takes, gives = c.gives, revision = d.revision + 1, updated_at = clock_timestamp()
FROM jsonb_to_record($2::jsonb) AS c (name text, description text, kind text, is_retired bool, takes jsonb,
                                      gives jsonb)
WHERE d.recipe_id = $1 AND d.revision = $3 RETURNING d.revision;

-- name: delete_recipe
-- Delete a recipe of a revision.
DELETE FROM recipes d WHERE d.recipe_id = $1 AND d.revision = $2 RETURNING d.revision;

-- name: lock_definitions
-- Let one change at a time concern definitions, so that what refers to each other stays whole.
SELECT pg_advisory_xact_lock(hashtextextended('playhall inventory definitions', 0));

-- name: missing_assets
-- Say which of these items and currencies there are not.
SELECT 'item' AS kind, wanted.id FROM unnest($1::text[]) AS wanted (id)
WHERE NOT EXISTS (SELECT FROM item_definitions d WHERE d.item_id = wanted.id)
UNION ALL
SELECT 'currency', wanted.id FROM unnest($2::text[]) AS wanted (id)
WHERE NOT EXISTS (SELECT FROM currencies c WHERE c.currency_id = wanted.id)
LIMIT 1;
