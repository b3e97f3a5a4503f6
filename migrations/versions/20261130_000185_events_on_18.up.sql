-- Two things are cheaper on PostgreSQL 18 or newer, a quarter to a half of what an append costs there:
--   - `id` is computed when it is read. It is not NOT NULL then, or each insert would compute it after all; it
--     never is null, as its key is not.
--   - the foreign key to games is NOT ENFORCED. Whatever inserts events has locked the row of their game, made it
--     in the same statement, or puts back an archive, whose own key is enforced; and games are never deleted:
--     `games_kept` and `games_origin_fixed` see to it, for everybody. The key stays for those who look how tables
--     belong together.
-- A server may be upgraded later: `playhall migrate` calls this again.
CREATE FUNCTION playhall_auth.choose_event_form(use_newest boolean DEFAULT true) RETURNS text LANGUAGE plpgsql
SET search_path = '' AS $$
DECLARE
    wanted text := CASE WHEN use_newest AND pg_catalog.current_setting('server_version_num')::int >= 180000
                        THEN 'virtual' ELSE 'stored' END;
    found  text;
BEGIN
    SELECT CASE a.attgenerated WHEN 's' THEN 'stored' ELSE 'virtual' END INTO STRICT found
    FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = 'public.game_events'::pg_catalog.regclass AND a.attname = 'id';
    IF found = wanted THEN
        RETURN found;
    END IF;
    -- In the order of an append, which would otherwise wait for this while this waits for it.
    LOCK TABLE public.games, public.game_events IN ACCESS EXCLUSIVE MODE;
    -- As text, since older servers do not know the words.
    EXECUTE pg_catalog.format('ALTER TABLE public.game_events ALTER CONSTRAINT game_events_game_id_fkey %s',
        CASE wanted WHEN 'virtual' THEN 'NOT ENFORCED' ELSE 'ENFORCED' END);
    ALTER TABLE public.game_events DROP COLUMN id;
    EXECUTE pg_catalog.format('ALTER TABLE public.game_events ADD COLUMN id uuid %s
        GENERATED ALWAYS AS (pg_catalog.md5(game_id::text || '':'' || event_index::text)::uuid) %s',
        CASE wanted WHEN 'stored' THEN 'NOT NULL' END, pg_catalog.upper(wanted));
    COMMENT ON COLUMN public.game_events.id IS 'md5 of game_id:event_index; follows from the key, so not indexed';
    RETURN wanted;
END
$$;
COMMENT ON FUNCTION playhall_auth.choose_event_form(boolean) IS
    'has the ids of events computed when they are read, and their foreign key not enforced, from PostgreSQL 18 on: virtual or stored';
REVOKE ALL ON FUNCTION playhall_auth.choose_event_form(boolean) FROM PUBLIC;
SELECT playhall_auth.choose_event_form();
