-- name: add_blueprint
-- Add somebody's blueprint, unless they have as many as they may; returns its id.
INSERT INTO blueprints (id, owner_id, name, version, data, assets, description, parent_id)
SELECT $1, $2, $3, $4, $5, $6, $7, $8
WHERE (SELECT count(*) FROM blueprints WHERE owner_id = $2) < $9
RETURNING id;

-- name: read_blueprints
-- Read blueprints in the order of these ids, as far as they may be seen.
SELECT b.id AS blueprint_id, b.owner_id, coalesce(p.display_name, p.username) AS owner, b.name,
       b.version, b.data, b.assets, b.description, b.is_public, b.parent_id, b.parent_name,
       b.forks, b.created_at
FROM unnest($1::uuid[]) WITH ORDINALITY AS wanted (id, nth)
JOIN blueprints b ON b.id = wanted.id
JOIN profiles p ON p.id = b.owner_id
ORDER BY wanted.nth;

-- name: own_blueprints
-- List an account's own blueprints after a place, newest first.
SELECT id, created_at AS key FROM blueprints
WHERE owner_id = $1 AND created_at <= $2 AND (created_at < $2 OR id > $3)
ORDER BY created_at DESC, id LIMIT $4;

-- name: market_by_newest
-- List the market after a place, newest first.
SELECT id, created_at AS key FROM blueprints
WHERE is_public AND created_at <= $1 AND (created_at < $1 OR id > $2)
ORDER BY created_at DESC, id LIMIT $3;

-- name: market_by_name
-- List the market after a place by name; no two have the same.
SELECT id, name AS key FROM blueprints
WHERE is_public AND name >= $1 AND (name > $1 OR id > $2)
ORDER BY name, id LIMIT $3;

-- name: market_by_version
-- List the market after a place, highest version first.
SELECT id, version AS key FROM blueprints
WHERE is_public AND version <= $1 AND (version < $1 OR id > $2)
ORDER BY version DESC, id LIMIT $3;

-- name: market_by_forks
-- List the market after a place, most forked first.
SELECT id, forks AS key FROM blueprints
WHERE is_public AND forks <= $1 AND (forks < $1 OR id > $2)
ORDER BY forks DESC, id LIMIT $3;

-- name: search_market
-- Find what is on the market with all of these words; the caller sorts.
SELECT id, created_at, name, version, forks FROM blueprints
WHERE is_public AND id IN (SELECT search_market($1::text::tsquery));

-- name: show_blueprint
-- Put one's own blueprint on the market, or take it off.
UPDATE blueprints SET is_public = $2 WHERE id = $1 AND owner_id = $3 RETURNING id;

-- name: delete_blueprint
-- Delete a blueprint; whose it may be is said by the policies.
DELETE FROM blueprints WHERE id = $1 RETURNING id;

-- name: name_fits
-- Say whether a pattern accepts a whole name. By itself it must be one as well: put into brackets,
-- `a)|(b` would be.
SELECT '' ~ $2::text IS NOT NULL AND $1::text ~ ('^(?:' || $2 || ')$');

-- name: put_name_pattern
-- Store the pattern for names, unless it is the one that is there.
INSERT INTO blueprint_rules (name_pattern) VALUES ($1)
ON CONFLICT (singleton) DO UPDATE SET name_pattern = excluded.name_pattern
WHERE blueprint_rules.name_pattern <> excluded.name_pattern;
