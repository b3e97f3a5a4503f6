DELETE FROM playhall_auth.codes WHERE purpose = 'mailed';
ALTER TABLE playhall_auth.codes
    DROP COLUMN lookup,
    DROP CONSTRAINT codes_purpose_check,
    ADD CONSTRAINT codes_purpose_check CHECK (purpose IN ('email', 'redirect'));
DROP TABLE playhall_auth.metadata;
