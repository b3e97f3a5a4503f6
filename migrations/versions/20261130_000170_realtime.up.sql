CREATE SCHEMA playhall_realtime;
COMMENT ON SCHEMA playhall_realtime IS 'changes of published tables for the Supabase clients, and who may read them';
GRANT USAGE ON SCHEMA playhall_realtime TO playhall_server, anon, authenticated, service_role;

-- ------------------------------------------------------------------ changes

-- A change is written in the transaction that made it. Each node reads what has been committed since
-- its last look, by comparing snapshots: the order of `seq` is that of writing, not of commits.
CREATE TABLE playhall_realtime.changes (
    seq            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    relation       oid NOT NULL,
    operation      text NOT NULL CHECK (operation IN ('INSERT', 'UPDATE', 'DELETE')),
    record         jsonb,
    old_record     jsonb,
    is_cut         boolean NOT NULL,
    changed_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX changes_transaction_idx ON playhall_realtime.changes (transaction_id);
CREATE INDEX changes_changed_at_idx ON playhall_realtime.changes (changed_at);
COMMENT ON TABLE playhall_realtime.changes IS 'changes of published tables, for as long as nodes may have to read them';
COMMENT ON COLUMN playhall_realtime.changes.record IS 'the row after an insert or update';
COMMENT ON COLUMN playhall_realtime.changes.old_record IS 'the row that was deleted; the primary key before an update';
COMMENT ON COLUMN playhall_realtime.changes.is_cut IS 'whether the row was so large that only its short columns are here';

SELECT playhall_auth.secure('playhall_realtime.changes');
REVOKE ALL ON playhall_realtime.changes FROM service_role;
GRANT SELECT, DELETE ON playhall_realtime.changes TO playhall_server;

-- The arguments are the columns of the primary key.
CREATE FUNCTION playhall_realtime.note_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
    shown   jsonb := CASE WHEN TG_OP = 'DELETE' THEN pg_catalog.to_jsonb(OLD) ELSE pg_catalog.to_jsonb(NEW) END;
    before  jsonb;
    too_big boolean := pg_catalog.octet_length(shown::text) > 65536;
BEGIN
    IF too_big THEN  -- as Supabase has it: what is short stays
        SELECT coalesce(pg_catalog.jsonb_object_agg(key, value), '{}') INTO shown FROM pg_catalog.jsonb_each(shown)
        WHERE pg_catalog.octet_length(value::text) <= 64;
    END IF;
    IF TG_OP = 'DELETE' THEN
        before := shown;
        shown := NULL;
    ELSIF TG_OP = 'UPDATE' THEN
        before := pg_catalog.to_jsonb(OLD);
        SELECT pg_catalog.jsonb_object_agg(name, before -> name) INTO before FROM pg_catalog.unnest(TG_ARGV) name;
    END IF;
    INSERT INTO playhall_realtime.changes (relation, operation, record, old_record, is_cut)
    VALUES (coalesce(pg_catalog.pg_partition_root(TG_RELID), TG_RELID), TG_OP, shown, before, too_big);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION playhall_realtime.note_change IS 'writes a change of a published table';
REVOKE ALL ON FUNCTION playhall_realtime.note_change FROM PUBLIC;

-- A trigger is put on a table as long as it is published, so that nothing costs anything otherwise. Only
-- a table with a primary key can be, which people may read, and which is not part of a game's log.
CREATE FUNCTION playhall_realtime.publish(tables text[]) RETURNS text[] LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' SET lock_timeout = '10s' AS $$
DECLARE
    found   record;
    refused text[] := '{}';
BEGIN
    PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('playhall_realtime.publish'));
    FOR found IN
        SELECT t.tgrelid::regclass AS of_table, t.tgname
        FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE t.tgfoid = 'playhall_realtime.note_change()'::regprocedure AND t.tgparentid = 0
            AND n.nspname || '.' || c.relname <> ALL (tables)
    LOOP
        EXECUTE pg_catalog.format('DROP TRIGGER %I ON %s', found.tgname, found.of_table);
    END LOOP;
    FOR found IN
        SELECT wanted, c.oid::regclass AS of_table,
            (SELECT pg_catalog.string_agg(pg_catalog.quote_literal(a.attname), ', ')
             FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a
                ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey::int2[])
             WHERE i.indrelid = c.oid AND i.indisprimary) AS key
        FROM pg_catalog.unnest(tables) wanted
            LEFT JOIN (pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace)
            ON n.nspname || '.' || c.relname = wanted AND c.relkind IN ('r', 'p')
                AND n.nspname NOT IN ('auth', 'information_schema')
                AND n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT LIKE 'playhall\_%'
                AND wanted NOT LIKE 'public.game\_%'
                AND (pg_catalog.has_any_column_privilege('anon', c.oid, 'SELECT')
                    OR pg_catalog.has_any_column_privilege('authenticated', c.oid, 'SELECT'))
        WHERE c.oid IS NULL OR NOT EXISTS (
            SELECT FROM pg_catalog.pg_trigger t
            WHERE t.tgrelid = c.oid AND t.tgfoid = 'playhall_realtime.note_change()'::regprocedure)
    LOOP
        IF found.key IS NULL THEN
            refused := refused || found.wanted;
            CONTINUE;
        END IF;
        BEGIN
            EXECUTE pg_catalog.format(
                'CREATE TRIGGER playhall_realtime AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW'
                ' EXECUTE FUNCTION playhall_realtime.note_change(%s)', found.of_table, found.key);
        EXCEPTION WHEN insufficient_privilege THEN  -- another role's table
            refused := refused || found.wanted;
        END;
    END LOOP;
    RETURN refused;
END
$$;
COMMENT ON FUNCTION playhall_realtime.publish IS 'has the changes of these tables noted, and of no others; gives those that cannot be';
REVOKE ALL ON FUNCTION playhall_realtime.publish FROM PUBLIC;
GRANT EXECUTE ON FUNCTION playhall_realtime.publish TO playhall_server;

-- ------------------------------------------------------------------ who may read a change

-- What PostgreSQL adds to a query of a role: any of the permissive policies, and all of the others.
CREATE FUNCTION playhall_realtime.policy_condition(of_table oid, of_role text, command "char") RETURNS text
LANGUAGE sql STABLE AS $$
    WITH policies AS (
        SELECT p.polpermissive, format('(%s)', CASE
            WHEN command = 'a' THEN coalesce(
                pg_get_expr(p.polwithcheck, p.polrelid), pg_get_expr(p.polqual, p.polrelid), 'true')
            ELSE coalesce(pg_get_expr(p.polqual, p.polrelid), 'true') END) AS written
        FROM pg_policy p
        WHERE p.polrelid = of_table AND p.polcmd IN (command, '*')
            AND (0 = ANY (p.polroles)
                OR EXISTS (SELECT FROM unnest(p.polroles) r WHERE r <> 0 AND pg_has_role(of_role, r, 'USAGE'))))
    SELECT CASE
        WHEN NOT has_any_column_privilege(of_role, of_table, 'SELECT') THEN 'false'
        WHEN r.rolbypassrls OR NOT c.relrowsecurity THEN 'true'
        ELSE (
            SELECT format('(%s)%s',
                coalesce(string_agg(written, ' OR ') FILTER (WHERE polpermissive), 'false'),
                coalesce(' AND ' || string_agg(written, ' AND ') FILTER (WHERE NOT polpermissive), ''))
            FROM policies)
        END
    FROM pg_class c, pg_roles r WHERE c.oid = of_table AND r.rolname = of_role
$$;
COMMENT ON FUNCTION playhall_realtime.policy_condition IS 'the condition that row security puts on what a role reads (r) or inserts (a)';
REVOKE ALL ON FUNCTION playhall_realtime.policy_condition FROM PUBLIC;
GRANT EXECUTE ON FUNCTION playhall_realtime.policy_condition TO anon, authenticated;

-- The policies are asked about the rows as they were when they changed: a row that is gone has no other,
-- and of one that was changed since, nothing is shown that could not be read then. Reader n is of
-- role n with claims n, and is asked about the images whose numbers are in element n of `asked`.
-- Image n lacks columns where `cut` says so; policies cannot be asked about those.
CREATE FUNCTION playhall_realtime.readers(
    of_table oid, images jsonb[], cut boolean[], roles text[], claims text[], asked jsonb
) RETURNS TABLE (reader int, image int) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    written    text := of_table::regclass::text;
    called     text := (SELECT quote_ident(relname) FROM pg_class WHERE oid = of_table);
    condition  text;
    of_role    text := '';
BEGIN
    FOR number IN 1 .. cardinality(roles) LOOP
        IF roles[number] <> of_role THEN
            of_role := roles[number];
            condition := playhall_realtime.policy_condition(of_table, of_role, 'r');
            IF condition <> 'true' THEN
                condition := format('NOT ($4)[playhall_number] AND %s', condition);
            END IF;
        END IF;
        PERFORM set_config('role', of_role, true), set_config('request.jwt.claims', claims[number], true);
        BEGIN
            RETURN QUERY EXECUTE format(
                'SELECT $1, playhall_number FROM (SELECT value::int AS playhall_number'
                '    FROM jsonb_array_elements_text($3)) playhall_asked'
                ' CROSS JOIN LATERAL jsonb_populate_record(NULL::%s, ($2)[playhall_number]) AS %s WHERE %s',
                written, called, condition) USING number, images, asked -> (number - 1), cut;
        EXCEPTION WHEN insufficient_privilege OR undefined_object OR undefined_function THEN
            NULL;  -- a policy that this role cannot work out lets nothing through
        END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION playhall_realtime.readers IS 'which readers the policies of a table let read which images of its rows';
REVOKE ALL ON FUNCTION playhall_realtime.readers FROM PUBLIC;
GRANT EXECUTE ON FUNCTION playhall_realtime.readers TO anon;

-- What a filter compares with is written like the values of rows, and is then compared as JSON.
CREATE FUNCTION playhall_realtime.canonical(of_table oid, given jsonb[]) RETURNS jsonb[]
LANGUAGE plpgsql STABLE SET "TimeZone" = 'UTC' AS $$
DECLARE
    written jsonb[];
BEGIN
    EXECUTE format(
        'SELECT array_agg(to_jsonb(jsonb_populate_record(NULL::%s, each)) ORDER BY place)'
        ' FROM unnest($1) WITH ORDINALITY x(each, place)', of_table::regclass) INTO written USING given;
    RETURN written;
END
$$;
COMMENT ON FUNCTION playhall_realtime.canonical IS 'values of columns, as to_jsonb writes those of rows';
REVOKE ALL ON FUNCTION playhall_realtime.canonical FROM PUBLIC;
GRANT EXECUTE ON FUNCTION playhall_realtime.canonical TO anon;

-- ------------------------------------------------------------------ private channels

-- It has no rows: its policies say who may receive (SELECT) and send (INSERT) what on which topics.
CREATE TABLE playhall_realtime.messages (
    topic     text NOT NULL,
    extension text NOT NULL CHECK (extension IN ('broadcast', 'presence')),
    private   boolean NOT NULL DEFAULT true
);
COMMENT ON TABLE playhall_realtime.messages IS 'has no rows; its policies say who may use which private channels';
ALTER TABLE playhall_realtime.messages ENABLE ROW LEVEL SECURITY;
ALTER TABLE playhall_realtime.messages FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT ON playhall_realtime.messages TO anon, authenticated;

CREATE FUNCTION playhall_realtime.topic() RETURNS text LANGUAGE sql STABLE
    AS $$ SELECT nullif(current_setting('realtime.topic', true), '') $$;
COMMENT ON FUNCTION playhall_realtime.topic IS 'the topic of the channel that a policy decides about';
REVOKE ALL ON FUNCTION playhall_realtime.topic FROM PUBLIC;
GRANT EXECUTE ON FUNCTION playhall_realtime.topic TO anon, authenticated, service_role;

CREATE FUNCTION playhall_realtime.channel_rights(
    as_role text, claims text, of_topic text,
    OUT receives_broadcast boolean, OUT sends_broadcast boolean,
    OUT receives_presence boolean, OUT sends_presence boolean
) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    of_table   oid := 'playhall_realtime.messages'::regclass;
    to_receive text := playhall_realtime.policy_condition(of_table, as_role, 'r');
    to_send    text := playhall_realtime.policy_condition(of_table, as_role, 'a');
BEGIN
    PERFORM set_config('role', as_role, true), set_config('request.jwt.claims', claims, true),
        set_config('realtime.topic', of_topic, true);
    EXECUTE format(
        'SELECT bool_or(%1$s) FILTER (WHERE extension = ''broadcast''),'
        '    bool_or(%2$s) FILTER (WHERE extension = ''broadcast''),'
        '    bool_or(%1$s) FILTER (WHERE extension = ''presence''),'
        '    bool_or(%2$s) FILTER (WHERE extension = ''presence'')'
        ' FROM (VALUES ($1, ''broadcast'', true), ($1, ''presence'', true)) AS messages(topic, extension, private)',
        to_receive, to_send)
    INTO receives_broadcast, sends_broadcast, receives_presence, sends_presence USING of_topic;
END
$$;
COMMENT ON FUNCTION playhall_realtime.channel_rights IS 'what the policies of messages let somebody do on a private channel';
REVOKE ALL ON FUNCTION playhall_realtime.channel_rights FROM PUBLIC;
GRANT EXECUTE ON FUNCTION playhall_realtime.channel_rights TO anon;
