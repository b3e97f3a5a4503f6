-- Rules of progression: which quests devices were told of, what rewards have,
-- what is implausible, which games count for a slot, and how the ledger is closed for a slot that is deleted.

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

-- ------------------------------------------------------------------ implausible progress

ALTER TABLE quests
    ADD COLUMN follows text[] NOT NULL DEFAULT '{}' CHECK (cardinality(follows) <= 50),
    ADD COLUMN min_play_time_s bigint NOT NULL DEFAULT 0 CHECK (min_play_time_s >= 0);
COMMENT ON COLUMN quests.follows IS 'quests that must have been available before it is completed';
COMMENT ON COLUMN quests.min_play_time_s IS 'less play time than this is implausible when it is completed';

CREATE TABLE quest_checks (
    save_title  text PRIMARY KEY CHECK (save_title ~ '^[a-z0-9][a-z0-9_-]{0,63}$'),
    play_time   text CHECK (play_time IN ('off', 'shadow', 'enforce')),
    quest_order text CHECK (quest_order IN ('off', 'shadow', 'enforce')),
    updated_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE quest_checks IS 'what is done about implausible progress in a title; null: as the node is set';

SELECT playhall_auth.secure('quest_checks');
GRANT SELECT, INSERT, UPDATE ON quest_checks TO playhall_server;

-- ------------------------------------------------------------------ games of slots

CREATE TABLE game_rewards (
    reward_id  uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    save_title text NOT NULL CHECK (save_title ~ '^[a-z0-9][a-z0-9_-]{0,63}$'),
    ruleset    text NOT NULL CHECK (ruleset ~ '^[a-z][a-z0-9_]{0,63}$'),
    rewards    jsonb NOT NULL CHECK (jsonb_typeof(rewards) = 'array'),
    version    int NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT game_rewards_ruleset UNIQUE (save_title, ruleset)
);
COMMENT ON TABLE game_rewards IS 'what a ruleset''s games give to the slots of a title that are attached to them';
COMMENT ON COLUMN game_rewards.rewards IS '[{result, placement, bundle}]: the first that fits';

CREATE TABLE slot_games (
    attachment_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    slot_id       uuid NOT NULL,
    account_id    uuid NOT NULL,
    lobby_id      uuid,
    game_id       uuid,
    attached_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    detached_at   timestamptz,
    applied_at    timestamptz,
    event_id      uuid,
    FOREIGN KEY (slot_id, account_id) REFERENCES save_slots (slot_id, account_id)
        ON UPDATE CASCADE ON DELETE CASCADE,
    CHECK (num_nonnulls(lobby_id, game_id) = 1),
    CHECK ((applied_at IS NULL) = (event_id IS NULL))
);
CREATE UNIQUE INDEX slot_games_one_idx ON slot_games (slot_id) WHERE detached_at IS NULL AND applied_at IS NULL;
CREATE INDEX slot_games_slot_id_idx ON slot_games (slot_id);
CREATE INDEX slot_games_account_id_idx ON slot_games (account_id) WHERE applied_at IS NULL;
COMMENT ON TABLE slot_games IS 'which game a slot''s player plays for it; the newest attachments that are over stay';
COMMENT ON COLUMN slot_games.lobby_id IS 'the lobby whose game counts, which may be gone';
COMMENT ON COLUMN slot_games.game_id IS 'the game that counts, which may be gone';
COMMENT ON COLUMN slot_games.detached_at IS 'a game that was completed before counts nevertheless';
COMMENT ON COLUMN slot_games.event_id IS 'the durable event whose result was applied';

SELECT playhall_auth.secure('game_rewards', 'slot_games');
GRANT SELECT, INSERT, UPDATE ON game_rewards TO playhall_server;
CREATE POLICY own_readable ON slot_games FOR SELECT TO authenticated
    USING (account_id = (SELECT auth.uid()));
GRANT SELECT ON slot_games TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON slot_games TO playhall_server;

-- ------------------------------------------------------------------ what rewards have

-- Items and currencies are named within JSON; here they are referred to, so that what is given
-- cannot be deleted.
CREATE TABLE reward_assets (
    quest_id    uuid REFERENCES quests (quest_id) ON DELETE CASCADE,
    reward_id   uuid REFERENCES game_rewards (reward_id) ON DELETE CASCADE,
    item_id     text REFERENCES item_definitions,
    currency_id text REFERENCES currencies,
    CHECK (num_nonnulls(quest_id, reward_id) = 1),
    CHECK (num_nonnulls(item_id, currency_id) = 1),
    CONSTRAINT reward_assets_once UNIQUE NULLS NOT DISTINCT (quest_id, reward_id, item_id, currency_id)
);
CREATE INDEX reward_assets_reward_id_idx ON reward_assets (reward_id);
CREATE INDEX reward_assets_item_id_idx ON reward_assets (item_id);
CREATE INDEX reward_assets_currency_id_idx ON reward_assets (currency_id);
COMMENT ON TABLE reward_assets IS 'the items and currencies that the rewards of quests and games have';

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

-- ------------------------------------------------------------------ slots that are deleted

ALTER TABLE ledger_transactions DROP CONSTRAINT ledger_transactions_kind_check;
ALTER TABLE ledger_transactions ADD CONSTRAINT ledger_transactions_kind_check CHECK (
    kind IN ('grant', 'collect', 'spend', 'use', 'craft', 'trade', 'give', 'take_back', 'discard'));

-- Whoever deletes a slot, what it holds goes back to the world by a transaction. That of an account
-- that is erased is erased with it.
CREATE FUNCTION slot_discards_holdings() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' AS $$
DECLARE
    discarded uuid;
BEGIN
    IF NOT EXISTS (SELECT FROM public.profiles p WHERE p.id = OLD.account_id) OR NOT EXISTS (
            SELECT FROM public.inventory_items i WHERE i.slot_id = OLD.slot_id AND i.quantity > 0
            UNION ALL
            SELECT FROM public.currency_balances b WHERE b.slot_id = OLD.slot_id AND b.balance > 0) THEN
        RETURN OLD;
    END IF;
    INSERT INTO public.ledger_transactions (account_id, slot_id, key, content_hash, kind, reason)
    VALUES (OLD.account_id, OLD.slot_id, 'deleted/' || OLD.slot_id, '', 'discard', 'The slot was deleted.')
    RETURNING transaction_id INTO discarded;
    INSERT INTO public.ledger_entries (transaction_id, account_id, holder, slot_id, item_id, stack_key,
                                       metadata, currency_id, amount)
    SELECT discarded, OLD.account_id, side.holder, CASE side.holder WHEN 'player' THEN OLD.slot_id END,
           held.item_id, held.stack_key, held.metadata, held.currency_id, held.quantity * side.sign
    FROM (SELECT i.item_id, i.stack_key, i.metadata, NULL::text AS currency_id, i.quantity
          FROM public.inventory_items i WHERE i.slot_id = OLD.slot_id AND i.quantity > 0
          UNION ALL
          SELECT NULL, '', '{}', b.currency_id, b.balance
          FROM public.currency_balances b WHERE b.slot_id = OLD.slot_id AND b.balance > 0) held,
         (VALUES ('player', -1), ('world', 1)) AS side (holder, sign);
    RETURN OLD;
END
$$;
COMMENT ON FUNCTION slot_discards_holdings() IS 'takes away what a slot holds before it is deleted, so that the ledger says where it went';
REVOKE ALL ON FUNCTION slot_discards_holdings() FROM PUBLIC;
CREATE TRIGGER save_slots_discard BEFORE DELETE ON save_slots
    FOR EACH ROW EXECUTE FUNCTION slot_discards_holdings();

-- The same for slots that were deleted before: nothing is held there, so nothing is applied.
ALTER TABLE ledger_entries DISABLE TRIGGER ledger_entries_apply;
WITH held AS (
    SELECT e.account_id, e.slot_id, e.item_id, e.stack_key, e.currency_id, sum(e.amount)::bigint AS quantity
    FROM ledger_entries e
    WHERE e.holder = 'player' AND e.slot_id IS NOT NULL
        AND NOT EXISTS (SELECT FROM save_slots s WHERE s.slot_id = e.slot_id)
    GROUP BY e.account_id, e.slot_id, e.item_id, e.stack_key, e.currency_id HAVING sum(e.amount) <> 0),
discarded AS (
    INSERT INTO ledger_transactions (account_id, slot_id, key, content_hash, kind, reason)
    SELECT DISTINCT account_id, slot_id, 'deleted/' || slot_id, '', 'discard', 'The slot was deleted.' FROM held
    RETURNING transaction_id, account_id, slot_id)
INSERT INTO ledger_entries (transaction_id, account_id, holder, slot_id, item_id, stack_key, currency_id,
                            amount, balance)
SELECT d.transaction_id, d.account_id, side.holder, CASE side.holder WHEN 'player' THEN d.slot_id END,
       h.item_id, h.stack_key, h.currency_id, h.quantity * side.sign, side.balance
FROM held h JOIN discarded d USING (account_id, slot_id),
     (VALUES ('player', -1, 0), ('world', 1, NULL)) AS side (holder, sign, balance);
SET CONSTRAINTS ledger_entries_balance IMMEDIATE;
SET CONSTRAINTS ledger_entries_balance DEFERRED;
ALTER TABLE ledger_entries ENABLE TRIGGER ledger_entries_apply;
