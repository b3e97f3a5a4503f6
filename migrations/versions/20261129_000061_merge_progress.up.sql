-- Merging accounts with saves, an inventory, a ledger and quests.
--
-- Transactions of the ledger change their account and nothing else. So history, balances and the sum of
-- zero stay what they are, slots keep the transactions that explain what they hold, and an undo is the
-- same step in the other direction. Booking a transfer instead would leave the history of a slot with
-- an account that no longer has the slot.

-- ------------------------------------------------------------------ keys of the ledger

ALTER TABLE ledger_transactions
    ADD COLUMN merge_id uuid,
    DROP CONSTRAINT ledger_transactions_once,
    ADD CONSTRAINT ledger_transactions_once UNIQUE NULLS NOT DISTINCT (account_id, key, merge_id);
COMMENT ON COLUMN ledger_transactions.merge_id IS
    'the first merge that gave it another account; both accounts may have used the same key before. Null for the account''s own';

-- Entries follow their transaction by both columns. With one of them in the index, a planner that knows
-- little of the table may look through all entries of the account for each transaction.
CREATE INDEX ledger_entries_transaction_idx ON ledger_entries (transaction_id, account_id);
DROP INDEX ledger_entries_transaction_id_idx;

CREATE OR REPLACE FUNCTION ledger_is_kept() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        -- Erasing a person takes their transactions along, whole, so the rest still sums to zero.
        IF NOT EXISTS (SELECT FROM public.profiles p WHERE p.id = OLD.account_id) THEN
            RETURN OLD;
        END IF;
    ELSIF to_jsonb(NEW) - 'account_id' - 'merge_id' = to_jsonb(OLD) - 'account_id' - 'merge_id' AND EXISTS (
            SELECT FROM public.profiles p
            WHERE (p.id, p.merged_into) IN ((OLD.account_id, NEW.account_id), (NEW.account_id, OLD.account_id))) THEN
        RETURN NEW;  -- a merge, or what undoes it; the server itself has no right to do this
    END IF;
    RAISE EXCEPTION USING
        ERRCODE = 'restrict_violation',
        MESSAGE = format('%s of %s refused: the ledger is only ever added to', TG_OP, TG_TABLE_NAME);
END
$$;

-- ------------------------------------------------------------------ nothing new for a merged account

-- A request that was accepted before a merge may write after it. A merge holds the streams of both
-- accounts from before it moves anything to its end. So after this lock, either the merge sees the new
-- row, or the row is refused.
CREATE FUNCTION account_is_not_merged() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' AS $$
BEGIN
    PERFORM FROM public.progress_streams s WHERE s.account_id = NEW.account_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        INSERT INTO public.progress_streams AS s (account_id) VALUES (NEW.account_id)
        ON CONFLICT (account_id) DO UPDATE SET number = s.number;
    END IF;
    IF EXISTS (SELECT FROM public.profiles p WHERE p.id = NEW.account_id AND p.merged_into IS NOT NULL) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'PH001',
            MESSAGE = format('account %s was merged into another one', NEW.account_id);
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION account_is_not_merged() IS 'refuses new rows for an account that was merged into another one';
REVOKE ALL ON FUNCTION account_is_not_merged() FROM PUBLIC;
CREATE TRIGGER save_slots_of_unmerged BEFORE INSERT ON save_slots
    FOR EACH ROW EXECUTE FUNCTION account_is_not_merged();
CREATE TRIGGER ledger_transactions_of_unmerged BEFORE INSERT ON ledger_transactions
    FOR EACH ROW EXECUTE FUNCTION account_is_not_merged();

-- A merge holds the profiles of both accounts too.
CREATE OR REPLACE FUNCTION number_consent() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    PERFORM FROM public.profiles WHERE id = NEW.account_id FOR UPDATE;
    IF EXISTS (SELECT FROM public.profiles p WHERE p.id = NEW.account_id AND p.merged_into IS NOT NULL) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'PH001',
            MESSAGE = format('account %s was merged into another one', NEW.account_id);
    END IF;
    NEW.version := 1 + coalesce((SELECT max(c.version) FROM public.consents c
        WHERE c.account_id = NEW.account_id AND c.purpose = NEW.purpose), 0);
    NEW.recorded_at := pg_catalog.clock_timestamp();
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION number_consent() IS
    'numbers a decision, and lets nothing be stored meanwhile; refuses those of an account that was merged';
ALTER TABLE consents
    DROP CONSTRAINT consents_source_check,
    ADD CONSTRAINT consents_source_check CHECK (source IN ('person', 'gpc', 'merge'));
COMMENT ON COLUMN consents.source IS
    'person: they said so; gpc: their browser sent Sec-GPC: 1; merge: an account that was merged into this one refused, or that was undone';

-- ------------------------------------------------------------------ moving

ALTER TABLE playhall_auth.merge_moves ADD COLUMN before jsonb;
COMMENT ON COLUMN playhall_auth.merge_moves.before IS
    'what else the merge changed in the row: of a slot {name, renamed}';

CREATE FUNCTION playhall_auth.rename_moved_slots(merge uuid)
RETURNS TABLE (slot_id uuid, name text, renamed text) LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    done public.account_merges;
    slot record;
    number int;
    suffix text;
BEGIN
    SELECT * INTO STRICT done FROM public.account_merges m WHERE m.id = merge AND m.undone_at IS NULL;
    FOR slot IN
        WITH moved AS (
            SELECT (m.key ->> 'slot_id')::uuid AS id FROM playhall_auth.merge_moves m
            WHERE m.merge_id = merge AND m.relation = 'public.save_slots')
        SELECT s.slot_id, s.title, s.name FROM public.save_slots s JOIN moved ON moved.id = s.slot_id
        WHERE s.name <> '' AND EXISTS (
            SELECT FROM public.save_slots o
            WHERE o.account_id = done.user_id AND o.title = s.title AND o.name = s.name
                AND o.slot_id NOT IN (SELECT id FROM moved))
        ORDER BY s.created_at, s.slot_id
    LOOP
        number := 1;
        LOOP  -- ends: there are fewer slots than numbers
            number := number + 1;
            suffix := format(' (%s)', number);
            renamed := left(slot.name, 64 - char_length(suffix)) || suffix;
            EXIT WHEN NOT EXISTS (
                SELECT FROM public.save_slots o
                WHERE o.account_id = done.user_id AND o.title = slot.title AND o.name = renamed);
        END LOOP;
        slot_id := slot.slot_id;
        name := slot.name;
        UPDATE public.save_slots s SET name = renamed WHERE s.slot_id = slot.slot_id;
        UPDATE playhall_auth.merge_moves m
        SET before = jsonb_build_object('name', slot.name, 'renamed', renamed)
        WHERE m.merge_id = merge AND m.relation = 'public.save_slots' AND m.key ->> 'slot_id' = slot.slot_id::text;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION playhall_auth.rename_moved_slots(uuid) IS
    'renames the slots that a merge moved where the account has one of that name in the title';

CREATE FUNCTION playhall_auth.move_balances(merge uuid) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    done public.account_merges;
    added bigint;
    moved bigint;
BEGIN
    SELECT * INTO STRICT done FROM public.account_merges m WHERE m.id = merge AND m.undone_at IS NULL;
    -- Those of slots go with their slots. An undo counts the rest again from the ledger.
    UPDATE public.currency_balances a SET balance = a.balance + b.balance, gained = a.gained + b.gained
    FROM public.currency_balances b
    WHERE b.account_id = done.merged_user_id AND b.slot_id IS NULL
        AND a.account_id = done.user_id AND a.slot_id IS NULL AND a.currency_id = b.currency_id;
    GET DIAGNOSTICS added = ROW_COUNT;
    DELETE FROM public.currency_balances b USING public.currency_balances a
    WHERE b.account_id = done.merged_user_id AND b.slot_id IS NULL
        AND a.account_id = done.user_id AND a.slot_id IS NULL AND a.currency_id = b.currency_id;
    UPDATE public.currency_balances b SET account_id = done.user_id
    WHERE b.account_id = done.merged_user_id AND b.slot_id IS NULL;
    GET DIAGNOSTICS moved = ROW_COUNT;
    RETURN moved + added;
END
$$;
COMMENT ON FUNCTION playhall_auth.move_balances(uuid) IS
    'adds the balances of the account that is merged to those of the account that stays';

-- Some at a time: each statement has a timeout, and a ledger has no bound.
CREATE FUNCTION playhall_auth.move_ledger(merge uuid, at_most int) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    done public.account_merges;
    moved bigint;
BEGIN
    SELECT * INTO STRICT done FROM public.account_merges m WHERE m.id = merge AND m.undone_at IS NULL;
    WITH changed AS (
        UPDATE public.ledger_transactions t
        SET account_id = done.user_id, merge_id = coalesce(t.merge_id, merge)
        WHERE t.transaction_id IN (
            SELECT l.transaction_id FROM public.ledger_transactions l
            WHERE l.account_id = done.merged_user_id LIMIT at_most)
        RETURNING t.transaction_id)
    INSERT INTO playhall_auth.merge_moves (merge_id, relation, referrer, key)
    SELECT merge, 'public.ledger_transactions', 'account_id', jsonb_build_object('transaction_id', c.transaction_id)
    FROM changed c;
    GET DIAGNOSTICS moved = ROW_COUNT;
    RETURN moved;
END
$$;
COMMENT ON FUNCTION playhall_auth.move_ledger(uuid, int) IS
    'makes transactions of the account that is merged those of the account that stays; their entries follow';

-- ------------------------------------------------------------------ moving back

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
        AND m.relation NOT IN ('playhall_auth.methods', 'public.ledger_transactions')
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
            -- Where the account is a part of the key, the rest of the key names rows of others as well.
            IF same <> '' AND NOT EXISTS (
                SELECT FROM pg_catalog.pg_index i
                JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::int2[])
                WHERE i.indrelid = noted.relation::regclass AND i.indisprimary AND a.attname = noted.referrer)
            THEN
                EXECUTE format(
                    'SELECT count(*) FROM %1$s t, jsonb_populate_record(NULL::%1$s, $1) k WHERE %2$s',
                    noted.relation::regclass, substr(same, 5))
                    USING noted.key INTO count;
            END IF;
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

-- With a slot goes what was done in it since, or nothing would explain what it holds.
CREATE FUNCTION playhall_auth.transactions_to_move_back(merge uuid) RETURNS SETOF uuid
LANGUAGE sql STABLE SET search_path = '' AS $$
    SELECT t.transaction_id FROM public.account_merges d
    JOIN public.ledger_transactions t ON t.account_id = d.user_id
    WHERE d.id = merge AND d.undone_at IS NULL AND (
        t.transaction_id IN (
            SELECT (m.key ->> 'transaction_id')::uuid FROM playhall_auth.merge_moves m
            WHERE m.merge_id = merge AND m.relation = 'public.ledger_transactions')
        OR t.slot_id IN (
            SELECT (m.key ->> 'slot_id')::uuid FROM playhall_auth.merge_moves m
            WHERE m.merge_id = merge AND m.relation = 'public.save_slots'))
$$;
COMMENT ON FUNCTION playhall_auth.transactions_to_move_back(uuid) IS
    'the transactions that an undo gives back and has not yet';

CREATE FUNCTION playhall_auth.move_balances_back(merge uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    done public.account_merges;
    part record;
    held bigint;
BEGIN
    SELECT * INTO STRICT done FROM public.account_merges m WHERE m.id = merge AND m.undone_at IS NULL;
    FOR part IN
        SELECT e.currency_id, sum(e.amount)::bigint AS balance,
            coalesce(sum(e.amount) FILTER (WHERE e.amount > 0 AND t.kind <> 'give'), 0)::bigint AS gained
        FROM public.ledger_entries e JOIN public.ledger_transactions t USING (transaction_id)
        WHERE e.account_id = done.user_id AND e.holder = 'player' AND e.currency_id IS NOT NULL
            AND e.slot_id IS NULL
            AND e.transaction_id IN (SELECT playhall_auth.transactions_to_move_back(merge))
        GROUP BY e.currency_id ORDER BY e.currency_id
    LOOP
        held := coalesce((
            SELECT b.balance FROM public.currency_balances b
            WHERE b.account_id = done.user_id AND b.slot_id IS NULL AND b.currency_id = part.currency_id), 0);
        IF part.balance < 0 OR held < part.balance THEN
            RAISE EXCEPTION USING
                ERRCODE = 'check_violation',
                CONSTRAINT = 'merge_balance_spent',
                MESSAGE = format(CASE WHEN part.balance < 0
                    THEN '%s of the currency %s were spent since in slots that would go back'
                    ELSE '%s of the currency %s that were moved have been spent since' END,
                    greatest(-part.balance, part.balance - held), part.currency_id);
        END IF;
        UPDATE public.currency_balances b SET balance = b.balance - part.balance, gained = b.gained - part.gained
        WHERE b.account_id = done.user_id AND b.slot_id IS NULL AND b.currency_id = part.currency_id;
        INSERT INTO public.currency_balances (account_id, currency_id, balance, gained)
        VALUES (done.merged_user_id, part.currency_id, part.balance, part.gained);
    END LOOP;
END
$$;
COMMENT ON FUNCTION playhall_auth.move_balances_back(uuid) IS
    'before move_ledger_back: gives balances of the account back, as the transactions that go back have them';

CREATE FUNCTION playhall_auth.move_ledger_back(merge uuid, at_most int) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    done public.account_merges;
    moved bigint;
BEGIN
    SELECT * INTO STRICT done FROM public.account_merges m WHERE m.id = merge AND m.undone_at IS NULL;
    UPDATE public.ledger_transactions t
    SET account_id = done.merged_user_id, merge_id = nullif(t.merge_id, merge)
    WHERE t.transaction_id IN (SELECT playhall_auth.transactions_to_move_back(merge) LIMIT at_most);
    GET DIAGNOSTICS moved = ROW_COUNT;
    RETURN moved;
END
$$;
COMMENT ON FUNCTION playhall_auth.move_ledger_back(uuid, int) IS
    'gives transactions back, and those that were made since in slots that go back; their entries follow';

CREATE FUNCTION playhall_auth.finish_move_back(merge uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    done public.account_merges;
    slots uuid[];
BEGIN
    SELECT * INTO STRICT done FROM public.account_merges m WHERE m.id = merge AND m.undone_at IS NULL;
    slots := ARRAY(
        SELECT (m.key ->> 'slot_id')::uuid FROM playhall_auth.merge_moves m
        WHERE m.merge_id = merge AND m.relation = 'public.save_slots');
    -- Of currencies that the account that stays had nothing to do with.
    DELETE FROM public.currency_balances b
    WHERE b.account_id = done.user_id AND b.slot_id IS NULL AND b.balance = 0 AND b.gained = 0
        AND NOT EXISTS (
            SELECT FROM public.ledger_entries e
            WHERE e.account_id = done.user_id AND e.currency_id = b.currency_id AND e.holder = 'player'
                AND e.slot_id IS NULL);
    UPDATE public.unlocks u SET account_id = done.merged_user_id
    WHERE u.account_id = done.user_id AND u.slot_id = ANY (slots) AND NOT EXISTS (
        SELECT FROM public.unlocks o
        WHERE o.account_id = done.merged_user_id AND o.kind = u.kind AND o.unlock_id = u.unlock_id);
    UPDATE public.reward_claims c SET account_id = done.merged_user_id
    WHERE c.account_id = done.user_id AND c.slot_id = ANY (slots) AND NOT EXISTS (
        SELECT FROM public.reward_claims o
        WHERE o.account_id = done.merged_user_id AND o.quest_id = c.quest_id AND o.grant_key = c.grant_key);
    UPDATE public.economy_flags f SET account_id = done.merged_user_id
    WHERE f.account_id = done.user_id AND f.slot_id = ANY (slots);
    UPDATE public.save_slots s SET name = m.before ->> 'name'
    FROM playhall_auth.merge_moves m
    WHERE m.merge_id = merge AND m.relation = 'public.save_slots' AND m.before IS NOT NULL
        AND s.slot_id = (m.key ->> 'slot_id')::uuid AND s.name = m.before ->> 'renamed';
END
$$;
COMMENT ON FUNCTION playhall_auth.finish_move_back(uuid) IS
    'after move_ledger_back: gives back what was unlocked, claimed and flagged since in slots that go back, and their names';

DROP FUNCTION playhall_auth.names_account(text, text, uuid);
REVOKE ALL ON FUNCTION playhall_auth.rename_moved_slots(uuid), playhall_auth.move_balances(uuid),
    playhall_auth.move_ledger(uuid, int), playhall_auth.transactions_to_move_back(uuid),
    playhall_auth.move_balances_back(uuid), playhall_auth.move_ledger_back(uuid, int),
    playhall_auth.finish_move_back(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION playhall_auth.rename_moved_slots(uuid), playhall_auth.move_balances(uuid),
    playhall_auth.move_ledger(uuid, int), playhall_auth.move_balances_back(uuid),
    playhall_auth.move_ledger_back(uuid, int), playhall_auth.finish_move_back(uuid) TO playhall_server;
