-- Inventory and economy. The ledger is the truth: whoever adds an entry has the database apply it to
-- what is held, in the same statement, and nobody writes what is held in another way. Each
-- transaction sums to zero for every item and currency: what a player gets, the world gives.

-- ------------------------------------------------------------------ definitions

CREATE TABLE item_definitions (
    item_id         text PRIMARY KEY CHECK (item_id ~ '^[a-z0-9][a-z0-9_.-]{0,63}$'),
    name            text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
    description     text NOT NULL DEFAULT '' CHECK (char_length(description) <= 1000),
    is_server_owned bool NOT NULL DEFAULT true,
    is_retired      bool NOT NULL DEFAULT false,
    use_bundle      jsonb CHECK (jsonb_typeof(use_bundle) = 'object'),
    holding_max     bigint NOT NULL DEFAULT 1000000000 CHECK (holding_max BETWEEN 1 AND 9007199254740991),
    limits          jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(limits) = 'object'),
    revision        bigint NOT NULL DEFAULT 1,
    updated_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE item_definitions IS 'what items there are';
COMMENT ON COLUMN item_definitions.is_server_owned IS 'clients cannot report that they found it: only grants, recipes and use give it';
COMMENT ON COLUMN item_definitions.is_retired IS 'nobody gets any more of it; what is held stays';
COMMENT ON COLUMN item_definitions.use_bundle IS 'what using one up gives; null: it cannot be used up';
COMMENT ON COLUMN item_definitions.holding_max IS 'how many a slot may hold';
COMMENT ON COLUMN item_definitions.limits IS 'what is plausible: {per_transaction, per_hour, per_day, per_play_hour, mode}';
COMMENT ON COLUMN item_definitions.revision IS 'the ETag; counts changes';

CREATE TABLE currencies (
    currency_id     text PRIMARY KEY CHECK (currency_id ~ '^[a-z0-9][a-z0-9_.-]{0,63}$'),
    name            text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
    description     text NOT NULL DEFAULT '' CHECK (char_length(description) <= 1000),
    scope           text NOT NULL DEFAULT 'slot' CHECK (scope IN ('account', 'slot')),
    is_server_owned bool NOT NULL DEFAULT true,
    is_retired      bool NOT NULL DEFAULT false,
    holding_max     bigint NOT NULL DEFAULT 1000000000 CHECK (holding_max BETWEEN 1 AND 9007199254740991),
    limits          jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(limits) = 'object'),
    revision        bigint NOT NULL DEFAULT 1,
    updated_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE currencies IS 'what currencies there are';
COMMENT ON COLUMN currencies.scope IS 'who has a balance: the account, in all its slots, or each slot its own; fixed once it was used';
COMMENT ON COLUMN currencies.is_server_owned IS 'as of items';
COMMENT ON COLUMN currencies.limits IS 'as of items';

CREATE TABLE recipes (
    recipe_id   text PRIMARY KEY CHECK (recipe_id ~ '^[a-z0-9][a-z0-9_.-]{0,63}$'),
    name        text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
    description text NOT NULL DEFAULT '' CHECK (char_length(description) <= 1000),
    kind        text NOT NULL DEFAULT 'craft' CHECK (kind IN ('craft', 'trade')),
    is_retired  bool NOT NULL DEFAULT false,
    takes       jsonb NOT NULL CHECK (jsonb_typeof(takes) = 'object'),
    gives       jsonb NOT NULL CHECK (jsonb_typeof(gives) = 'object'),
    revision    bigint NOT NULL DEFAULT 1,
    updated_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE recipes IS 'what can be made of what, and traded for what';
COMMENT ON COLUMN recipes.takes IS 'a bundle of components: {items, currencies}';
COMMENT ON COLUMN recipes.gives IS 'a bundle';

-- ------------------------------------------------------------------ holdings

CREATE TABLE inventory_items (
    entry_id   uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    slot_id    uuid NOT NULL,
    account_id uuid NOT NULL,
    item_id    text NOT NULL REFERENCES item_definitions,
    quantity   bigint NOT NULL CHECK (quantity BETWEEN 0 AND 9007199254740991),
    metadata   jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    stack_key  text NOT NULL DEFAULT '' CHECK (stack_key ~ '^([0-9a-f]{16})?$'),
    gained     bigint NOT NULL DEFAULT 0 CHECK (gained BETWEEN 0 AND 9007199254740991),
    FOREIGN KEY (slot_id, account_id) REFERENCES save_slots (slot_id, account_id)
        ON UPDATE CASCADE ON DELETE CASCADE,
    CONSTRAINT inventory_items_one_stack UNIQUE (slot_id, item_id, stack_key),
    CHECK ((stack_key = '') = (metadata = '{}'))
);
CREATE INDEX inventory_items_item_id_idx ON inventory_items (item_id);
CREATE INDEX inventory_items_account_id_idx ON inventory_items (account_id);
COMMENT ON TABLE inventory_items IS 'what slots hold; only entries of the ledger change it';
COMMENT ON COLUMN inventory_items.metadata IS 'what sets this stack apart from plain items';
COMMENT ON COLUMN inventory_items.stack_key IS 'names the stack by its metadata; empty for plain items';
COMMENT ON COLUMN inventory_items.gained IS 'how many were ever earned: without what staff gave';

CREATE TABLE currency_balances (
    balance_id  uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    account_id  uuid NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
    slot_id     uuid,
    currency_id text NOT NULL REFERENCES currencies,
    balance     bigint NOT NULL CHECK (balance BETWEEN 0 AND 9007199254740991),
    gained      bigint NOT NULL DEFAULT 0 CHECK (gained BETWEEN 0 AND 9007199254740991),
    FOREIGN KEY (slot_id, account_id) REFERENCES save_slots (slot_id, account_id)
        ON UPDATE CASCADE ON DELETE CASCADE,
    CONSTRAINT currency_balances_one UNIQUE NULLS NOT DISTINCT (account_id, slot_id, currency_id)
);
CREATE INDEX currency_balances_slot_id_idx ON currency_balances (slot_id);
CREATE INDEX currency_balances_currency_id_idx ON currency_balances (currency_id);
COMMENT ON TABLE currency_balances IS 'what accounts and slots have of each currency; only entries of the ledger change it';
COMMENT ON COLUMN currency_balances.slot_id IS 'null for a currency of the account';
COMMENT ON COLUMN currency_balances.gained IS 'how much was ever earned: without what staff gave';

-- ------------------------------------------------------------------ the ledger

CREATE TABLE ledger_transactions (
    transaction_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    seq            bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    account_id     uuid NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
    slot_id        uuid,
    key            text NOT NULL CHECK (char_length(key) BETWEEN 1 AND 200),
    content_hash   text NOT NULL,
    kind           text NOT NULL CHECK (
        kind IN ('grant', 'collect', 'spend', 'use', 'craft', 'trade', 'give', 'take_back')),
    reason         text NOT NULL DEFAULT '' CHECK (char_length(reason) <= 500),
    at             timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT ledger_transactions_once UNIQUE (account_id, key),
    CONSTRAINT ledger_transactions_owner UNIQUE (transaction_id, account_id)
);
CREATE INDEX ledger_transactions_history_idx ON ledger_transactions (account_id, seq);
COMMENT ON TABLE ledger_transactions IS 'every change of what people hold; never changed, and gone only with the person';
COMMENT ON COLUMN ledger_transactions.slot_id IS 'the slot that it was for, which may be gone; null for the account alone';
COMMENT ON COLUMN ledger_transactions.key IS 'who repeats a request sends the same one, and gets the same answer';
COMMENT ON COLUMN ledger_transactions.content_hash IS 'of what the request said, so that a key is not used twice';

CREATE TABLE ledger_entries (
    entry_id       bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    transaction_id uuid NOT NULL,
    account_id     uuid NOT NULL,
    holder         text NOT NULL CHECK (holder IN ('player', 'world')),
    slot_id        uuid,
    item_id        text REFERENCES item_definitions,
    stack_key      text NOT NULL DEFAULT '',
    metadata       jsonb NOT NULL DEFAULT '{}',
    currency_id    text REFERENCES currencies,
    amount         bigint NOT NULL CHECK (amount <> 0),
    balance        bigint,
    at             timestamptz NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (transaction_id, account_id) REFERENCES ledger_transactions (transaction_id, account_id)
        ON UPDATE CASCADE ON DELETE CASCADE,
    CHECK (num_nonnulls(item_id, currency_id) = 1),
    CHECK (item_id IS NOT NULL OR stack_key = ''),
    CHECK (holder = 'world' OR item_id IS NULL OR slot_id IS NOT NULL),
    CHECK ((balance IS NULL) = (holder = 'world'))
);
CREATE INDEX ledger_entries_transaction_id_idx ON ledger_entries (transaction_id);
CREATE INDEX ledger_entries_item_id_idx ON ledger_entries (item_id, account_id, at) WHERE item_id IS NOT NULL;
CREATE INDEX ledger_entries_currency_id_idx ON ledger_entries (currency_id, account_id, at)
    WHERE currency_id IS NOT NULL;
CREATE INDEX ledger_entries_account_id_idx ON ledger_entries (account_id);
COMMENT ON TABLE ledger_entries IS 'double entries: of each transaction, those of an item or currency sum to zero';
COMMENT ON COLUMN ledger_entries.holder IS 'whose side: the player''s, or the world''s, which gives and takes';
COMMENT ON COLUMN ledger_entries.slot_id IS 'null for a currency of the account, and for the world';
COMMENT ON COLUMN ledger_entries.balance IS 'what the player holds after it; set by the database';

-- As the owner, since nobody else may write what is held.
CREATE FUNCTION ledger_applies() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' AS $$
DECLARE
    earned bigint := 0;
BEGIN
    NEW.balance := NULL;
    IF NEW.holder = 'world' THEN
        RETURN NEW;
    END IF;
    IF NEW.amount > 0 AND EXISTS (
            SELECT FROM public.ledger_transactions t
            WHERE t.transaction_id = NEW.transaction_id AND t.kind <> 'give') THEN
        earned := NEW.amount;
    END IF;
    IF NEW.item_id IS NOT NULL THEN
        UPDATE public.inventory_items i
        SET quantity = i.quantity + NEW.amount, gained = i.gained + earned
        WHERE i.slot_id = NEW.slot_id AND i.item_id = NEW.item_id AND i.stack_key = NEW.stack_key
            AND i.account_id = NEW.account_id
        RETURNING i.quantity INTO NEW.balance;
        IF NEW.balance IS NULL THEN
            INSERT INTO public.inventory_items AS i
                (slot_id, account_id, item_id, quantity, metadata, stack_key, gained)
            VALUES (NEW.slot_id, NEW.account_id, NEW.item_id, NEW.amount, NEW.metadata, NEW.stack_key,
                earned)
            RETURNING i.quantity INTO NEW.balance;
        END IF;
    ELSE
        UPDATE public.currency_balances b
        SET balance = b.balance + NEW.amount, gained = b.gained + earned
        WHERE b.account_id = NEW.account_id AND b.currency_id = NEW.currency_id
            AND b.slot_id IS NOT DISTINCT FROM NEW.slot_id
        RETURNING b.balance INTO NEW.balance;
        IF NEW.balance IS NULL THEN
            INSERT INTO public.currency_balances AS b (account_id, slot_id, currency_id, balance, gained)
            VALUES (NEW.account_id, NEW.slot_id, NEW.currency_id, NEW.amount, earned)
            RETURNING b.balance INTO NEW.balance;
        END IF;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION ledger_applies() IS 'applies a player''s entry to what they hold, and notes what they hold then';
CREATE TRIGGER ledger_entries_apply BEFORE INSERT ON ledger_entries
    FOR EACH ROW EXECUTE FUNCTION ledger_applies();

CREATE FUNCTION ledger_balances() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' AS $$
DECLARE
    total numeric := (
        SELECT sum(e.amount) FROM public.ledger_entries e
        WHERE e.transaction_id = NEW.transaction_id AND e.item_id IS NOT DISTINCT FROM NEW.item_id
            AND e.currency_id IS NOT DISTINCT FROM NEW.currency_id);
BEGIN
    IF total <> 0 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'integrity_constraint_violation',
            TABLE = 'ledger_entries',
            CONSTRAINT = 'ledger_entries_balance',
            MESSAGE = format('transaction %s sums to %s for %s', NEW.transaction_id, total,
                coalesce(NEW.item_id, NEW.currency_id));
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION ledger_balances() IS 'at commit, a transaction sums to zero for each item and currency';
CREATE CONSTRAINT TRIGGER ledger_entries_balance AFTER INSERT ON ledger_entries
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_balances();

CREATE FUNCTION ledger_is_kept() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        -- Erasing a person takes their transactions along, whole, so the rest still sums to zero.
        IF NOT EXISTS (SELECT FROM public.profiles p WHERE p.id = OLD.account_id) THEN
            RETURN OLD;
        END IF;
    ELSIF to_jsonb(NEW) - 'account_id' = to_jsonb(OLD) - 'account_id' THEN
        RETURN NEW;  -- two accounts become one; the server itself has no right to do this
    END IF;
    RAISE EXCEPTION USING
        ERRCODE = 'restrict_violation',
        MESSAGE = format('%s of %s refused: the ledger is only ever added to', TG_OP, TG_TABLE_NAME);
END
$$;
COMMENT ON FUNCTION ledger_is_kept() IS 'the ledger is only ever added to, until its person is erased';
REVOKE ALL ON FUNCTION ledger_applies(), ledger_balances(), ledger_is_kept() FROM PUBLIC;
CREATE TRIGGER ledger_transactions_kept BEFORE UPDATE OR DELETE ON ledger_transactions
    FOR EACH ROW EXECUTE FUNCTION ledger_is_kept();
CREATE TRIGGER ledger_entries_kept BEFORE UPDATE OR DELETE ON ledger_entries
    FOR EACH ROW EXECUTE FUNCTION ledger_is_kept();
CREATE TRIGGER ledger_transactions_kept_whole BEFORE TRUNCATE ON ledger_transactions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('the ledger is only ever added to');
CREATE TRIGGER ledger_entries_kept_whole BEFORE TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('the ledger is only ever added to');
ALTER TABLE ledger_transactions ENABLE ALWAYS TRIGGER ledger_transactions_kept;
ALTER TABLE ledger_transactions ENABLE ALWAYS TRIGGER ledger_transactions_kept_whole;
ALTER TABLE ledger_entries ENABLE ALWAYS TRIGGER ledger_entries_kept;
ALTER TABLE ledger_entries ENABLE ALWAYS TRIGGER ledger_entries_kept_whole;
ALTER TABLE ledger_entries ENABLE ALWAYS TRIGGER ledger_entries_balance;

-- ------------------------------------------------------------------ unlocks and reviews

CREATE TABLE unlocks (
    account_id     uuid NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
    kind           text NOT NULL CHECK (kind IN ('lore', 'cosmetic')),
    unlock_id      text NOT NULL CHECK (unlock_id ~ '^[a-z0-9][a-z0-9_.-]{0,63}$'),
    transaction_id uuid NOT NULL,
    slot_id        uuid,
    at             timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account_id, kind, unlock_id)
);
COMMENT ON TABLE unlocks IS 'lore and cosmetics that an account has, in all its slots';
COMMENT ON COLUMN unlocks.transaction_id IS 'the transaction of the ledger that unlocked it';
COMMENT ON COLUMN unlocks.slot_id IS 'the slot that it was unlocked in, which may be gone';

CREATE TABLE economy_flags (
    flag_id        uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    seq            bigint NOT NULL UNIQUE GENERATED ALWAYS AS IDENTITY,
    account_id     uuid NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
    slot_id        uuid,
    transaction_id uuid,
    rule           text NOT NULL CHECK (rule ~ '^[a-z][a-z_]{0,63}$'),
    asset          text NOT NULL DEFAULT '' CHECK (char_length(asset) <= 100),
    reason         text NOT NULL CHECK (char_length(reason) <= 500),
    was_refused    bool NOT NULL,
    times          int NOT NULL DEFAULT 1 CHECK (times > 0),
    status         text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'dismissed', 'confirmed')),
    note           text NOT NULL DEFAULT '' CHECK (char_length(note) <= 500),
    first_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    decided_at     timestamptz,
    CHECK ((status = 'open') = (decided_at IS NULL))
);
CREATE UNIQUE INDEX economy_flags_one_open_idx
    ON economy_flags (account_id, slot_id, rule, asset, was_refused) NULLS NOT DISTINCT WHERE status = 'open';
CREATE INDEX economy_flags_account_id_idx ON economy_flags (account_id);
CREATE INDEX economy_flags_status_idx ON economy_flags (status, seq);
COMMENT ON TABLE economy_flags IS 'what was implausible, for people to review; the same again is counted';
COMMENT ON COLUMN economy_flags.slot_id IS 'the slot that it was in, which may be gone';
COMMENT ON COLUMN economy_flags.transaction_id IS 'the newest transaction; null where it was refused';
COMMENT ON COLUMN economy_flags.asset IS 'the item or currency: item:iron, currency:gold';
COMMENT ON COLUMN economy_flags.was_refused IS 'the rule was enforced; otherwise it only looked on';

-- ------------------------------------------------------------------ who may do what

SELECT playhall_auth.secure('item_definitions', 'currencies', 'recipes', 'inventory_items',
    'currency_balances', 'ledger_transactions', 'ledger_entries', 'unlocks', 'economy_flags');
-- What the ledger decides is not decided otherwise by the service either.
REVOKE INSERT, UPDATE, DELETE ON inventory_items, currency_balances FROM service_role;
REVOKE UPDATE, DELETE ON ledger_transactions, ledger_entries FROM service_role;

CREATE POLICY readable ON item_definitions FOR SELECT TO anon, authenticated USING (true);
CREATE POLICY readable ON currencies FOR SELECT TO anon, authenticated USING (true);
CREATE POLICY readable ON recipes FOR SELECT TO anon, authenticated USING (true);
-- Without `limits`: who knows what is found implausible stays just below it.
GRANT SELECT (item_id, name, description, is_server_owned, is_retired, use_bundle, holding_max, revision,
    updated_at) ON item_definitions TO anon, authenticated;
GRANT SELECT (currency_id, name, description, scope, is_server_owned, is_retired, holding_max, revision,
    updated_at) ON currencies TO anon, authenticated;
GRANT SELECT ON recipes TO anon, authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON item_definitions, currencies, recipes TO playhall_server;

CREATE POLICY own_readable ON inventory_items FOR SELECT TO authenticated
    USING (account_id = (SELECT auth.uid()));
CREATE POLICY own_readable ON currency_balances FOR SELECT TO authenticated
    USING (account_id = (SELECT auth.uid()));
CREATE POLICY own_readable ON ledger_transactions FOR SELECT TO authenticated
    USING (account_id = (SELECT auth.uid()));
CREATE POLICY own_readable ON ledger_entries FOR SELECT TO authenticated
    USING (account_id = (SELECT auth.uid()));
CREATE POLICY own_readable ON unlocks FOR SELECT TO authenticated
    USING (account_id = (SELECT auth.uid()));
GRANT SELECT ON inventory_items, currency_balances, ledger_transactions, ledger_entries, unlocks
    TO authenticated;
GRANT SELECT ON inventory_items, currency_balances TO playhall_server;
GRANT SELECT, INSERT ON ledger_transactions, ledger_entries TO playhall_server;
GRANT SELECT, INSERT, DELETE ON unlocks TO playhall_server;
GRANT SELECT, INSERT, UPDATE ON economy_flags TO playhall_server;
