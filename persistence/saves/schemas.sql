-- name: read_schemas
-- Read the versions of a title's save schema above one, oldest first.
SELECT title, version, schema, merge, otherwise, upgrade, created_at
FROM save_schemas WHERE title = $1 AND version > $2 ORDER BY version LIMIT $3;

-- name: add_schema
-- Add a version of a title's save schema, unless it exists.
INSERT INTO save_schemas (title, version, schema, merge, otherwise, upgrade)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (title, version) DO NOTHING RETURNING created_at;
