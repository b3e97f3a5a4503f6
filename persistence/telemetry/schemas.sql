-- name: list_schemas
-- Read every schema, by type and version.
SELECT s.event_type, s.version, s.schema, t.purpose, t.kept_days, s.registered_at
FROM telemetry_schemas s JOIN telemetry_types t ON t.event_type = s.event_type
ORDER BY s.event_type, s.version LIMIT $1;

-- name: find_schema
-- Read one schema.
SELECT s.event_type, s.version, s.schema, t.purpose, t.kept_days, s.registered_at
FROM telemetry_schemas s JOIN telemetry_types t ON t.event_type = s.event_type
WHERE s.event_type = $1 AND s.version = $2;

-- name: lock_types
-- Let one admin at a time register a schema.
SELECT pg_advisory_xact_lock(hashtext('playhall: telemetry schemas'));

-- name: count_schemas
-- Count the schemas.
SELECT count(*) FROM telemetry_schemas;

-- name: add_type
-- Make a type unless it is known.
INSERT INTO telemetry_types (event_type, purpose, kept_days) VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING RETURNING event_type;

-- name: put_type
-- Make a type, or set for how long its events are kept; nothing is returned for another purpose. What is kept for longer may come to have older events, so it is cleared anew.
INSERT INTO telemetry_types AS t (event_type, purpose, kept_days) VALUES ($1, $2, $3)
ON CONFLICT (event_type) DO UPDATE SET kept_days = $3, updated_at = clock_timestamp(),
    cleared_before = CASE WHEN t.kept_days < $3 THEN NULL ELSE t.cleared_before END
WHERE t.purpose = $2
RETURNING event_type;

-- name: put_schema
-- Register a schema, or correct it.
INSERT INTO telemetry_schemas (event_type, version, schema) VALUES ($1, $2, $3)
ON CONFLICT (event_type, version) DO UPDATE SET schema = $3, registered_at = clock_timestamp();
