-- Telemetry: what games report about how they are played, and what people consent to.

-- ------------------------------------------------------------------ what names a person without a key

-- Where checking a foreign key for each row would cost too much, a column says by its comment that
-- it names an account. It is treated like a key with ON DELETE CASCADE everywhere else: exports find
-- it, and it goes with the profile.
CREATE FUNCTION playhall_auth.unenforced_references() RETURNS TABLE (relation regclass, "column" text)
LANGUAGE sql STABLE SET search_path = '' AS $$
    SELECT a.attrelid::regclass, quote_ident(a.attname)
    FROM pg_description d
    JOIN pg_attribute a ON a.attrelid = d.objoid AND a.attnum = d.objsubid
    JOIN pg_class c ON c.oid = a.attrelid
    WHERE d.classoid = 'pg_class'::regclass AND d.objsubid > 0 AND d.description LIKE 'account:%'
        AND c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND c.relnamespace IN ('public'::regnamespace, 'playhall_auth'::regnamespace)
$$;
COMMENT ON FUNCTION playhall_auth.unenforced_references() IS
    'columns that name an account without a foreign key: those whose comment begins with account:';

CREATE OR REPLACE FUNCTION playhall_auth.person_tables()
RETURNS TABLE (name text, condition text, columns text) LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = '' AS $$
    WITH RECURSIVE reached (relation, is_theirs, condition, path) AS (
        SELECT root.relation, true, root.condition, ARRAY[root.relation::oid]
        FROM (
            VALUES ('auth.users'::regclass, 'id = $1'), ('public.players', 'user_id = $1::text')
            UNION ALL
            SELECT u.relation, format('%s = $1', u."column") FROM playhall_auth.unenforced_references() u
        ) AS root (relation, condition)
        UNION ALL
        SELECT f.conrelid::regclass, f.confdeltype = 'c',
            format('(%s) IN (SELECT %s FROM %s WHERE %s)',
                playhall_auth.column_list(f.conrelid, f.conkey),
                playhall_auth.column_list(f.confrelid, f.confkey), f.confrelid::regclass, r.condition),
            r.path || f.conrelid
        FROM reached r
        JOIN pg_constraint f ON f.confrelid = r.relation
        JOIN pg_class c ON c.oid = f.conrelid
        WHERE f.contype = 'f' AND f.conparentid = 0 AND f.conrelid <> ALL (r.path) AND r.is_theirs
            AND c.relnamespace IN ('public'::regnamespace, 'playhall_auth'::regnamespace)
            AND (f.confdeltype = 'c'
                OR r.relation IN ('auth.users'::regclass, 'public.profiles', 'public.players'))
    )
    SELECT relation::text, string_agg(DISTINCT condition, ' OR '), (
        SELECT playhall_auth.column_list(relation, array_agg(a.attnum))
        FROM pg_attribute a
        WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
            AND a.atttypid <> 'bytea'::regtype AND a.attname !~ 'hash|password|secret|_token'
            AND coalesce(col_description(relation, a.attnum), '') NOT LIKE 'secret:%')
    FROM reached GROUP BY relation
$$;

CREATE FUNCTION playhall_auth.delete_unenforced() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' AS $$
DECLARE
    reference record;
BEGIN
    FOR reference IN SELECT * FROM playhall_auth.unenforced_references() LOOP
        EXECUTE format('DELETE FROM %s WHERE %s = $1', reference.relation, reference."column")
            USING OLD.id;
    END LOOP;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION playhall_auth.delete_unenforced() IS
    'deletes what names a profile without a foreign key, as ON DELETE CASCADE would';
REVOKE ALL ON FUNCTION playhall_auth.unenforced_references(), playhall_auth.delete_unenforced() FROM PUBLIC;
CREATE TRIGGER profiles_unenforced AFTER DELETE ON profiles
    FOR EACH ROW EXECUTE FUNCTION playhall_auth.delete_unenforced();

-- ------------------------------------------------------------------ types and their schemas

CREATE TABLE telemetry_types (
    event_type     text PRIMARY KEY CHECK (event_type ~ '^[a-z][a-z0-9_.]{0,63}$'),
    purpose        text NOT NULL CHECK (purpose IN ('analytics', 'personalization')),
    kept_days      int NOT NULL CHECK (kept_days BETWEEN 1 AND 400),
    cleared_before timestamptz,
    updated_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE telemetry_types IS 'kinds of events: what they are collected for, and for how long they are kept';
COMMENT ON COLUMN telemetry_types.cleared_before IS 'events of this type from before this were deleted; null if that was not looked at';

CREATE TABLE telemetry_schemas (
    event_type    text NOT NULL REFERENCES telemetry_types (event_type) ON DELETE CASCADE,
    version       int NOT NULL CHECK (version BETWEEN 1 AND 10000),
    schema        jsonb NOT NULL CHECK (jsonb_typeof(schema) = 'object'),
    registered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (event_type, version)
);
COMMENT ON TABLE telemetry_schemas IS 'JSON Schemas that the payloads of events are checked with';
COMMENT ON COLUMN telemetry_schemas.registered_at IS 'changes when the schema of this version is corrected';

-- ------------------------------------------------------------------ events

-- An event's id is a UUIDv7, which begins with the time. So a day of ids is a partition, and the
-- primary key of that partition finds duplicates exactly, for as long as the day is kept.
CREATE TABLE telemetry_events (
    event_id       uuid NOT NULL CHECK (get_byte(uuid_send(event_id), 6) >> 4 = 7),
    account_id     uuid NOT NULL,
    event_type     text NOT NULL,
    payload        jsonb NOT NULL,
    "timestamp"    timestamptz NOT NULL,
    received_at    timestamptz NOT NULL DEFAULT now(),
    session        text,
    schema_version int NOT NULL,
    PRIMARY KEY (event_id)
) PARTITION BY RANGE (event_id);
CREATE INDEX telemetry_events_account_id_idx ON telemetry_events (account_id);
COMMENT ON TABLE telemetry_events IS 'what clients reported; a partition a day in the schema telemetry_days';
COMMENT ON COLUMN telemetry_events.event_id IS 'a UUIDv7 that the client made when it happened';
COMMENT ON COLUMN telemetry_events.account_id IS 'account: whose event it is; a profile, but not checked for each row';
COMMENT ON COLUMN telemetry_events."timestamp" IS 'when it happened, by the client''s clock';
COMMENT ON COLUMN telemetry_events.session IS 'the client''s own name for a stretch of play';

CREATE SCHEMA telemetry_days;
COMMENT ON SCHEMA telemetry_days IS 'the partitions of telemetry_events';

CREATE FUNCTION telemetry_day_start(day date) RETURNS uuid LANGUAGE sql IMMUTABLE SET search_path = ''
RETURN pg_catalog.rpad(pg_catalog.lpad(pg_catalog.to_hex((day - '1970-01-01'::date) * 86400000::bigint), 12, '0'), 32, '0')::uuid;
COMMENT ON FUNCTION telemetry_day_start(date) IS 'the smallest UUIDv7 of a day';

CREATE FUNCTION telemetry_make_days(first date, last date) RETURNS int LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' AS $$
DECLARE
    day date;
    partition text;
    made int := 0;
BEGIN
    IF last - first > 500 THEN
        RAISE EXCEPTION 'too many days: % to %', first, last;
    END IF;
    FOR day IN SELECT d::date FROM pg_catalog.generate_series(first, last, interval '1 day') d LOOP
        partition := 'telemetry_days.d' || pg_catalog.to_char(day, 'YYYYMMDD');
        CONTINUE WHEN pg_catalog.to_regclass(partition) IS NOT NULL;
        -- Several nodes may want to make it at once; whoever waited finds it made.
        PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('playhall: telemetry days'));
        -- By a query, which sees what others have committed meanwhile; names are looked up in a cache.
        PERFORM FROM pg_catalog.pg_class c WHERE c.relnamespace = 'telemetry_days'::regnamespace
            AND c.relname = 'd' || pg_catalog.to_char(day, 'YYYYMMDD');
        CONTINUE WHEN FOUND;
        -- Attaching lets others go on reading and writing, which PARTITION OF would not.
        EXECUTE pg_catalog.format(
            'CREATE TABLE %s (LIKE public.telemetry_events INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', partition);
        PERFORM playhall_auth.secure(partition::regclass);
        EXECUTE pg_catalog.format('REVOKE ALL ON %s FROM service_role', partition);
        EXECUTE pg_catalog.format(
            'ALTER TABLE public.telemetry_events ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)',
            partition, public.telemetry_day_start(day), public.telemetry_day_start(day + 1));
        made := made + 1;
    END LOOP;
    RETURN made;
END
$$;
COMMENT ON FUNCTION telemetry_make_days(date, date) IS 'makes the partitions of some days; says how many were missing';

CREATE FUNCTION telemetry_drop_days(before date) RETURNS int LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' AS $$
DECLARE
    partition text;
    dropped int := 0;
BEGIN
    PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('playhall: telemetry days'));
    FOR partition IN
        SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'telemetry_days' AND c.relkind = 'r'
            AND c.relname < 'd' || pg_catalog.to_char(before, 'YYYYMMDD')
    LOOP
        EXECUTE pg_catalog.format('DROP TABLE telemetry_days.%I', partition);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END
$$;
COMMENT ON FUNCTION telemetry_drop_days(date) IS 'drops the partitions of the days before a day; says how many';

CREATE FUNCTION telemetry_first_day() RETURNS date LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
BEGIN ATOMIC
    SELECT min(pg_catalog.to_date(c.relname::text, '"d"YYYYMMDD'))
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'telemetry_days' AND c.relkind = 'r';
END;
COMMENT ON FUNCTION telemetry_first_day() IS 'the oldest day that has a partition';

REVOKE ALL ON FUNCTION telemetry_day_start(date), telemetry_make_days(date, date), telemetry_drop_days(date),
    telemetry_first_day() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION telemetry_day_start(date), telemetry_make_days(date, date), telemetry_drop_days(date),
    telemetry_first_day() TO playhall_server;

CREATE TABLE telemetry_dead_letters (
    letter_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id     uuid NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
    event_id       uuid NOT NULL,
    event_type     text NOT NULL,
    schema_version int,
    payload        jsonb NOT NULL,
    "timestamp"    timestamptz NOT NULL,
    session        text,
    is_shared      boolean NOT NULL,
    code           text NOT NULL CHECK (code IN ('unknown_type', 'unknown_version', 'invalid_payload')),
    problem        text NOT NULL,
    received_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT telemetry_dead_letters_once UNIQUE (account_id, event_id)
);
CREATE INDEX telemetry_dead_letters_type_idx ON telemetry_dead_letters (event_type, letter_id);
CREATE INDEX telemetry_dead_letters_received_at_idx ON telemetry_dead_letters (received_at);
COMMENT ON TABLE telemetry_dead_letters IS 'events that no schema fits, until the schema is corrected';
COMMENT ON COLUMN telemetry_dead_letters.schema_version IS 'as the client said; null for the newest';
COMMENT ON COLUMN telemetry_dead_letters.is_shared IS 'whether it may be forwarded once it fits';

-- ------------------------------------------------------------------ forwarding

CREATE TABLE telemetry_targets (
    target          text PRIMARY KEY CHECK (target IN ('webhook', 'redis')),
    is_enabled      boolean NOT NULL DEFAULT true,
    lease_until     timestamptz,
    attempts        int NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_error      text
);
COMMENT ON TABLE telemetry_targets IS 'where events are forwarded to, and how that goes';
COMMENT ON COLUMN telemetry_targets.lease_until IS 'until when a node alone forwards to it';
COMMENT ON COLUMN telemetry_targets.attempts IS 'failures since the last success';

CREATE TABLE telemetry_forwards (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    target     text NOT NULL REFERENCES telemetry_targets (target) ON DELETE CASCADE,
    account_id uuid NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
    event_ids  uuid[] NOT NULL DEFAULT '{}',
    withdrawn  text,
    queued_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((withdrawn IS NULL) = (cardinality(event_ids) > 0))
);
CREATE INDEX telemetry_forwards_target_idx ON telemetry_forwards (target, seq);
CREATE INDEX telemetry_forwards_account_id_idx ON telemetry_forwards (account_id);
CREATE INDEX telemetry_forwards_queued_at_idx ON telemetry_forwards (queued_at);
COMMENT ON TABLE telemetry_forwards IS 'batches that wait to be forwarded; a row goes once its target has it';
COMMENT ON COLUMN telemetry_forwards.event_ids IS 'which events; those that were deleted meanwhile are not sent';
COMMENT ON COLUMN telemetry_forwards.withdrawn IS 'instead of events: the purpose that the account no longer consents to';

-- ------------------------------------------------------------------ consent

CREATE TABLE consents (
    account_id     uuid NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
    purpose        text NOT NULL CHECK (purpose IN ('analytics', 'personalization', 'sharing')),
    version        int NOT NULL CHECK (version > 0),
    is_granted     boolean NOT NULL,
    source         text NOT NULL DEFAULT 'person' CHECK (source IN ('person', 'gpc')),
    policy_version text NOT NULL DEFAULT '' CHECK (char_length(policy_version) <= 64),
    recorded_at    timestamptz NOT NULL,
    PRIMARY KEY (account_id, purpose, version)
);
CREATE INDEX consents_recorded_at_idx ON consents (account_id, recorded_at);
COMMENT ON TABLE consents IS 'what people decided about each purpose, each decision a row; the newest version counts';
COMMENT ON COLUMN consents.source IS 'person: they said so; gpc: their browser sent Sec-GPC: 1';
COMMENT ON COLUMN consents.policy_version IS 'the privacy policy that they were shown, as the client names it';

-- Whoever stores telemetry of an account holds a key share lock on its profile and then reads its
-- consents. So after this lock nothing is stored on the ground of an older decision, and what was
-- stored before is seen and deleted here.
CREATE FUNCTION number_consent() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    PERFORM FROM public.profiles WHERE id = NEW.account_id FOR UPDATE;
    NEW.version := 1 + coalesce((SELECT max(c.version) FROM public.consents c
        WHERE c.account_id = NEW.account_id AND c.purpose = NEW.purpose), 0);
    NEW.recorded_at := pg_catalog.clock_timestamp();
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION number_consent() IS 'numbers a decision, and lets nothing be stored meanwhile';
CREATE TRIGGER consents_numbered BEFORE INSERT ON consents FOR EACH ROW EXECUTE FUNCTION number_consent();

-- In a trigger of its own, since policies are checked after the one before and ahead of this one.
CREATE FUNCTION withdraw_consent() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    IF NEW.purpose = 'sharing' THEN
        DELETE FROM public.telemetry_forwards f WHERE f.account_id = NEW.account_id AND f.withdrawn IS NULL;
        UPDATE public.telemetry_dead_letters d SET is_shared = false
        WHERE d.account_id = NEW.account_id AND d.is_shared;
    ELSE
        DELETE FROM public.telemetry_events e USING public.telemetry_types t
        WHERE e.account_id = NEW.account_id AND t.event_type = e.event_type AND t.purpose = NEW.purpose;
        -- What an unknown type would be for, nobody knows.
        DELETE FROM public.telemetry_dead_letters d WHERE d.account_id = NEW.account_id AND NOT EXISTS (
            SELECT FROM public.telemetry_types t WHERE t.event_type = d.event_type AND t.purpose <> NEW.purpose);
    END IF;
    INSERT INTO public.telemetry_forwards (target, account_id, withdrawn)
    SELECT t.target, NEW.account_id, NEW.purpose FROM public.telemetry_targets t WHERE t.is_enabled;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION withdraw_consent() IS 'deletes what a decision no longer covers, and notifies the targets';
CREATE TRIGGER consents_withdrawn AFTER INSERT ON consents
    FOR EACH ROW WHEN (NOT NEW.is_granted) EXECUTE FUNCTION withdraw_consent();
REVOKE ALL ON FUNCTION number_consent(), withdraw_consent() FROM PUBLIC;

-- ------------------------------------------------------------------ rights

SELECT playhall_auth.secure(
    'telemetry_types', 'telemetry_schemas', 'telemetry_events', 'telemetry_dead_letters',
    'telemetry_targets', 'telemetry_forwards', 'consents');
REVOKE ALL ON telemetry_types, telemetry_schemas, telemetry_events, telemetry_dead_letters,
    telemetry_targets, telemetry_forwards, consents FROM service_role;
GRANT SELECT, INSERT, UPDATE ON telemetry_types, telemetry_schemas, telemetry_targets TO playhall_server;
GRANT SELECT, INSERT, DELETE ON telemetry_events, telemetry_forwards TO playhall_server;
GRANT SELECT, INSERT, UPDATE, DELETE ON telemetry_dead_letters TO playhall_server;
GRANT SELECT, INSERT ON consents TO playhall_server;

CREATE POLICY own_readable ON consents FOR SELECT TO authenticated
    USING (account_id = (SELECT auth.uid()));
CREATE POLICY own_decided ON consents FOR INSERT TO authenticated
    WITH CHECK (account_id = (SELECT auth.uid()) AND source = 'person');
GRANT SELECT ON consents TO authenticated;
GRANT INSERT (account_id, purpose, is_granted, policy_version) ON consents TO authenticated;
