-- Accounts: OpenID providers, platform links, and the merge of two accounts.

-- ------------------------------------------------------------------ providers

-- A kind is email, discord, or the id of an OpenID provider in the settings.
ALTER TABLE playhall_auth.methods
    DROP CONSTRAINT methods_kind_check,
    ADD CONSTRAINT methods_kind_check CHECK (kind ~ '^[a-z][a-z0-9-]{0,31}$');
ALTER TABLE playhall_auth.sessions
    DROP CONSTRAINT sessions_method_check,
    ADD CONSTRAINT sessions_method_check CHECK (method ~ '^[a-z][a-z0-9-]{0,31}$');
-- A code of before was good for two minutes.
DELETE FROM playhall_auth.codes WHERE purpose = 'discord';
ALTER TABLE playhall_auth.codes
    DROP CONSTRAINT codes_purpose_check,
    ADD CONSTRAINT codes_purpose_check CHECK (purpose IN ('email', 'redirect'));

-- As the owner: whatever links, unlinks or seals a method anew has its platforms in the player.
CREATE FUNCTION playhall_auth.mirror_platform_links() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    person uuid;
BEGIN
    FOREACH person IN ARRAY CASE TG_OP
        WHEN 'INSERT' THEN ARRAY[NEW.user_id]
        WHEN 'DELETE' THEN ARRAY[OLD.user_id]
        ELSE ARRAY[OLD.user_id, NEW.user_id] END
    LOOP
        UPDATE public.players SET platform_links = coalesce((
            SELECT jsonb_object_agg(m.kind, encode(m.sealed, 'base64'))
            FROM playhall_auth.methods m WHERE m.user_id = person AND m.kind <> 'email'), '{}')
        WHERE user_id = person::text;
    END LOOP;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION playhall_auth.mirror_platform_links() IS 'keeps players.platform_links equal to the linked platforms';
CREATE TRIGGER methods_mirrored AFTER INSERT OR DELETE OR UPDATE OF user_id, kind, sealed
    ON playhall_auth.methods FOR EACH ROW EXECUTE FUNCTION playhall_auth.mirror_platform_links();
COMMENT ON COLUMN players.platform_links IS
    'secret: the platforms that the account signs in with, each with the sealed id there; kept by a trigger';
UPDATE players p SET platform_links = l.links FROM (
    SELECT user_id::text, jsonb_object_agg(kind, encode(sealed, 'base64')) AS links
    FROM playhall_auth.methods WHERE kind <> 'email' GROUP BY user_id) l
WHERE p.user_id = l.user_id;
