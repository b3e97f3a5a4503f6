-- A name never changes, so blueprints whose names do not fit the rule of before go.
DELETE FROM blueprints
WHERE name !~ '^([BCDFGHJ-NP-TV-Z][AEIOU][BCDFGHJ-NP-TV-Z]){2}[1-9][0-9]{0,3}$';
DROP TRIGGER blueprints_name_fits ON blueprints;
DROP FUNCTION blueprint_name_fits();
ALTER TABLE blueprints
    DROP CONSTRAINT blueprints_name_check,
    DROP CONSTRAINT blueprints_version_in_name,
    ADD CONSTRAINT blueprints_name_check CHECK (
        name ~ '^([BCDFGHJ-NP-TV-Z][AEIOU][BCDFGHJ-NP-TV-Z]){2}[1-9][0-9]{0,3}$'),
    ADD CONSTRAINT blueprints_version_in_name CHECK (right(name, -6) = version::text);
COMMENT ON COLUMN blueprints.name IS 'two syllables and the version: MORDIG10 is MOR-DIG at version 10';
COMMENT ON COLUMN blueprints.version IS 'capacity / 10; the number in the name';
DROP TABLE blueprint_rules;
