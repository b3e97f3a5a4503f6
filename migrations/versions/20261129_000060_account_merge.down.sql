DROP TRIGGER methods_mirrored ON playhall_auth.methods;
DROP FUNCTION playhall_auth.mirror_platform_links();
COMMENT ON COLUMN players.platform_links IS 'platform name to the player''s id there; encrypted';
UPDATE players SET platform_links = '{}' WHERE platform_links <> '{}';

DELETE FROM playhall_auth.methods WHERE kind NOT IN ('email', 'discord');
DELETE FROM playhall_auth.sessions WHERE method NOT IN ('guest', 'email', 'discord');
DELETE FROM playhall_auth.codes WHERE purpose = 'redirect';
ALTER TABLE playhall_auth.methods
    DROP CONSTRAINT methods_kind_check,
    ADD CONSTRAINT methods_kind_check CHECK (kind IN ('email', 'discord'));
ALTER TABLE playhall_auth.sessions
    DROP CONSTRAINT sessions_method_check,
    ADD CONSTRAINT sessions_method_check CHECK (method IN ('guest', 'email', 'discord'));
ALTER TABLE playhall_auth.codes
    DROP CONSTRAINT codes_purpose_check,
    ADD CONSTRAINT codes_purpose_check CHECK (purpose IN ('email', 'discord'));
