-- Rules of progression: which quests devices were told of, and what rewards have.

-- ------------------------------------------------------------------ available quests

CREATE TABLE quest_availability (
    slot_id   uuid PRIMARY KEY REFERENCES save_slots (slot_id) ON DELETE CASCADE,
    available uuid[] NOT NULL DEFAULT '{}' CHECK (cardinality(available) <= 1000),
    reached   uuid[] NOT NULL DEFAULT '{}' CHECK (cardinality(reached) <= 10000)
);
COMMENT ON TABLE quest_availability IS 'which quests a slot''s devices were told of, so that they are told once';
COMMENT ON COLUMN quest_availability.available IS 'quests that are available, as the devices know';
COMMENT ON COLUMN quest_availability.reached IS 'quests that ever were available in the slot';

SELECT playhall_auth.secure('quest_availability');
REVOKE ALL ON quest_availability FROM service_role;
GRANT SELECT, INSERT, UPDATE ON quest_availability TO playhall_server;

-- ------------------------------------------------------------------ what rewards have

-- Items and currencies are named within JSON; here they are referred to, so that what is given
-- cannot be deleted.
CREATE TABLE reward_assets (
    quest_id    uuid REFERENCES quests (quest_id) ON DELETE CASCADE,
    item_id     text REFERENCES item_definitions,
    currency_id text REFERENCES currencies,
    CHECK (num_nonnulls(quest_id) = 1),
    CHECK (num_nonnulls(item_id, currency_id) = 1),
    CONSTRAINT reward_assets_once UNIQUE NULLS NOT DISTINCT (quest_id, item_id, currency_id)
);
CREATE INDEX reward_assets_item_id_idx ON reward_assets (item_id);
CREATE INDEX reward_assets_currency_id_idx ON reward_assets (currency_id);
COMMENT ON TABLE reward_assets IS 'the items and currencies that the rewards of quests have';

-- Quests from before may have what there is not; they are refused when they are written again.
INSERT INTO reward_assets (quest_id, item_id)
SELECT q.quest_id, d.item_id FROM quests q
CROSS JOIN LATERAL jsonb_object_keys(
    CASE jsonb_typeof(q.reward_bundle -> 'items') WHEN 'object' THEN q.reward_bundle -> 'items' ELSE '{}' END) AS named (id)
JOIN item_definitions d ON d.item_id = named.id;
INSERT INTO reward_assets (quest_id, currency_id)
SELECT q.quest_id, c.currency_id FROM quests q
CROSS JOIN LATERAL jsonb_object_keys(
    CASE jsonb_typeof(q.reward_bundle -> 'currencies') WHEN 'object' THEN q.reward_bundle -> 'currencies' ELSE '{}' END) AS named (id)
JOIN currencies c ON c.currency_id = named.id;

-- Nobody gets what is retired, so a reward with it could not be claimed.
CREATE FUNCTION reward_is_given() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' AS $$
BEGIN
    IF TG_TABLE_NAME = 'item_definitions' AND EXISTS (
            SELECT FROM public.reward_assets a WHERE a.item_id = to_jsonb(NEW) ->> 'item_id')
        OR TG_TABLE_NAME = 'currencies' AND EXISTS (
            SELECT FROM public.reward_assets a WHERE a.currency_id = to_jsonb(NEW) ->> 'currency_id') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'foreign_key_violation',
            TABLE = 'reward_assets',
            MESSAGE = 'what a reward has cannot be retired';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION reward_is_given() IS 'refuses to retire what a reward has';
REVOKE ALL ON FUNCTION reward_is_given() FROM PUBLIC;
CREATE TRIGGER item_definitions_given BEFORE UPDATE OF is_retired ON item_definitions
    FOR EACH ROW WHEN (NEW.is_retired AND NOT OLD.is_retired) EXECUTE FUNCTION reward_is_given();
CREATE TRIGGER currencies_given BEFORE UPDATE OF is_retired ON currencies
    FOR EACH ROW WHEN (NEW.is_retired AND NOT OLD.is_retired) EXECUTE FUNCTION reward_is_given();

SELECT playhall_auth.secure('reward_assets');
REVOKE ALL ON reward_assets FROM service_role;
GRANT SELECT, INSERT, DELETE ON reward_assets TO playhall_server;
