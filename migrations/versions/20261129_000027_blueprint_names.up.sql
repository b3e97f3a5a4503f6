-- Names of blueprints: the rule is stored, so that a setting can change it, and it still holds for
-- whoever writes into the table another way. See docs/decisions/0008-rules-that-a-setting-changes.md.
CREATE TABLE blueprint_rules (
    singleton    boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    name_pattern text NOT NULL CHECK (char_length(name_pattern) BETWEEN 1 AND 500)
);
COMMENT ON TABLE blueprint_rules IS 'what names of new blueprints must be; one row, or none for the rule that is the default';
COMMENT ON COLUMN blueprint_rules.name_pattern IS 'a regular expression for the whole name; as PLAYHALL_BLUEPRINT_NAME_PATTERN had it when a node last started';
SELECT playhall_auth.secure('blueprint_rules');
REVOKE ALL ON blueprint_rules FROM service_role;
GRANT SELECT, INSERT, UPDATE ON blueprint_rules TO playhall_server;

-- What any rule is within: one word, and the version at its end.
ALTER TABLE blueprints
    DROP CONSTRAINT blueprints_name_check,
    DROP CONSTRAINT blueprints_version_in_name,
    ADD CONSTRAINT blueprints_name_check CHECK (
        char_length(name) <= 32 AND name ~ '^[A-Za-z0-9]*[A-Za-z][1-9][0-9]{0,3}$'),
    ADD CONSTRAINT blueprints_version_in_name CHECK (
        substring(name from '[0-9]+$') = version::text);
COMMENT ON COLUMN blueprints.name IS 'ends with the version: MORDIG10 is MOR-DIG at version 10; see blueprint_rules';
COMMENT ON COLUMN blueprints.version IS 'the number in the name; by default capacity / 10';

-- As the owner, since nobody else may read the rule. Only for new rows: those before keep their names.
CREATE FUNCTION blueprint_name_fits() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' AS $$
DECLARE
    pattern text := coalesce(
        (SELECT r.name_pattern FROM public.blueprint_rules r),
        '([BCDFGHJ-NP-TV-Z][AEIOU][BCDFGHJ-NP-TV-Z]){2}[1-9][0-9]{0,3}');
BEGIN
    IF NEW.name !~ ('^(?:' || pattern || ')$') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'check_violation',
            CONSTRAINT = 'blueprints_name_fits',
            MESSAGE = 'the name does not fit the pattern in blueprint_rules';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION blueprint_name_fits() IS 'a new blueprint is named as blueprint_rules has it';
REVOKE ALL ON FUNCTION blueprint_name_fits() FROM PUBLIC;
-- After the insertion, so that the policies decide first.
CREATE TRIGGER blueprints_name_fits AFTER INSERT ON blueprints
    FOR EACH ROW EXECUTE FUNCTION blueprint_name_fits();
