-- name: name_fits
-- Say whether a pattern accepts a whole name. By itself it must be one as well: put into brackets,
-- `a)|(b` would be.
SELECT '' ~ $2::text IS NOT NULL AND $1::text ~ ('^(?:' || $2 || ')$');

-- name: put_name_pattern
-- Store the pattern for names, unless it is the one that is there.
INSERT INTO blueprint_rules (name_pattern) VALUES ($1)
ON CONFLICT (singleton) DO UPDATE SET name_pattern = excluded.name_pattern
WHERE blueprint_rules.name_pattern <> excluded.name_pattern;
