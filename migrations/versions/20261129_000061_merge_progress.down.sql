-- What was merged stays merged; those with progress can no longer be undone.
DROP FUNCTION playhall_auth.finish_move_back(uuid);
DROP FUNCTION playhall_auth.move_ledger_back(uuid, int);
DROP FUNCTION playhall_auth.move_balances_back(uuid);
DROP FUNCTION playhall_auth.transactions_to_move_back(uuid);
DROP FUNCTION playhall_auth.move_ledger(uuid, int);
DROP FUNCTION playhall_auth.move_balances(uuid);
DROP FUNCTION playhall_auth.rename_moved_slots(uuid);

CREATE FUNCTION playhall_auth.names_account(relation text, referrer text, account uuid) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    found boolean;
BEGIN
    PERFORM FROM playhall_auth.person_columns() p
    WHERE p.relation = names_account.relation AND p.referrer = names_account.referrer
        AND p.refers_to <> 'public.players';
    IF NOT FOUND THEN
        RAISE EXCEPTION '%.% does not name an account', relation, referrer;
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM %s t WHERE t.%I = $1)', relation::regclass, referrer)
        INTO found USING account;
    RETURN found;
END
$$;
COMMENT ON FUNCTION playhall_auth.names_account(text, text, uuid) IS
    'says whether a row names an account in a column';
REVOKE ALL ON FUNCTION playhall_auth.names_account(text, text, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION playhall_auth.names_account(text, text, uuid) TO playhall_server;

CREATE OR REPLACE FUNCTION playhall_auth.move_rows_back(merge uuid, OUT moved bigint, OUT missing bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    done public.account_merges;
    noted record;
    same text;
    count bigint;
BEGIN
    moved := 0;
    missing := 0;
    SELECT * INTO STRICT done FROM public.account_merges m WHERE m.id = merge AND m.undone_at IS NULL;
    FOR noted IN SELECT * FROM playhall_auth.merge_moves m WHERE m.merge_id = merge
        AND m.relation <> 'playhall_auth.methods'
    LOOP
        SELECT coalesce(string_agg(format(' AND t.%1$I = k.%1$I', name), ''), '') INTO same
        FROM jsonb_object_keys(noted.key) name;
        EXECUTE format(
            'UPDATE %1$s t SET %2$I = $1 FROM jsonb_populate_record(NULL::%1$s, $3) k WHERE t.%2$I = $2%3$s',
            noted.relation::regclass, noted.referrer, same)
            USING done.merged_user_id, done.user_id, noted.key;
        GET DIAGNOSTICS count = ROW_COUNT;
        moved := moved + count;
        IF count = 0 THEN
            EXECUTE format(
                'SELECT count(*) FROM %1$s t, jsonb_populate_record(NULL::%1$s, $1) k WHERE %2$s',
                noted.relation::regclass, CASE same WHEN '' THEN 'false' ELSE substr(same, 5) END)
                USING noted.key INTO count;
            IF count > 0 THEN
                RAISE EXCEPTION USING
                    ERRCODE = 'check_violation',
                    CONSTRAINT = 'merge_rows_still_there',
                    MESSAGE = format('a row of %s belongs to somebody else by now', noted.relation);
            END IF;
            missing := missing + 1;
        END IF;
    END LOOP;
END
$$;

UPDATE account_merges SET undo_until = least(undo_until, clock_timestamp()) WHERE id IN (
    SELECT merge_id FROM playhall_auth.merge_moves
    WHERE relation IN ('public.save_slots', 'public.ledger_transactions'));
ALTER TABLE playhall_auth.merge_moves DROP COLUMN before;

UPDATE consents SET source = 'person' WHERE source = 'merge';
ALTER TABLE consents
    DROP CONSTRAINT consents_source_check,
    ADD CONSTRAINT consents_source_check CHECK (source IN ('person', 'gpc'));
COMMENT ON COLUMN consents.source IS 'person: they said so; gpc: their browser sent Sec-GPC: 1';
CREATE OR REPLACE FUNCTION number_consent() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    PERFORM FROM public.profiles WHERE id = NEW.account_id FOR UPDATE;
    NEW.version := 1 + coalesce((SELECT max(c.version) FROM public.consents c
        WHERE c.account_id = NEW.account_id AND c.purpose = NEW.purpose), 0);
    NEW.recorded_at := pg_catalog.clock_timestamp();
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION number_consent() IS 'numbers a decision, and lets nothing be stored meanwhile';

DROP TRIGGER ledger_transactions_of_unmerged ON ledger_transactions;
DROP TRIGGER save_slots_of_unmerged ON save_slots;
DROP FUNCTION account_is_not_merged();

CREATE OR REPLACE FUNCTION ledger_is_kept() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
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

-- A key that both accounts had used is the account's own no longer.
ALTER TABLE ledger_transactions DISABLE TRIGGER ledger_transactions_kept;
UPDATE ledger_transactions t SET key = left(t.key, 163) || ':' || t.merge_id
WHERE t.merge_id IS NOT NULL AND EXISTS (
    SELECT FROM ledger_transactions o
    WHERE o.account_id = t.account_id AND o.key = t.key AND o.transaction_id <> t.transaction_id);
ALTER TABLE ledger_transactions ENABLE ALWAYS TRIGGER ledger_transactions_kept;
ALTER TABLE ledger_transactions
    DROP CONSTRAINT ledger_transactions_once,
    ADD CONSTRAINT ledger_transactions_once UNIQUE (account_id, key),
    DROP COLUMN merge_id;
CREATE INDEX ledger_entries_transaction_id_idx ON ledger_entries (transaction_id);
DROP INDEX ledger_entries_transaction_idx;
