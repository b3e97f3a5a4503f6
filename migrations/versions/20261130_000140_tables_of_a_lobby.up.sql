-- A lobby with several tables stays open. The game of a table has a lobby of its own, which refers
-- to it, so a game still has one lobby and ends, moves and recovers like any other.
ALTER TABLE lobbies
    ADD COLUMN tables   smallint NOT NULL DEFAULT 1 CHECK (tables BETWEEN 1 AND 16),
    ADD COLUMN table_of uuid REFERENCES lobbies (id),
    ADD COLUMN table_no smallint CHECK (table_no >= 0),
    ADD CONSTRAINT lobbies_tables_bounded CHECK (tables = 1 OR tables * seats <= 64),
    ADD CONSTRAINT lobbies_tables_played_here CHECK (tables = 1 OR mode = 'server' AND NOT quick_play),
    ADD CONSTRAINT lobbies_table_has_number CHECK ((table_of IS NULL) = (table_no IS NULL)),
    ADD CONSTRAINT lobbies_table_has_no_tables CHECK (table_of IS NULL OR tables = 1);
COMMENT ON COLUMN lobbies.tables IS 'how many games may be played in it at once; seats are those of each table';
COMMENT ON COLUMN lobbies.table_of IS 'the lobby at one of whose tables this lobby''s game is played';
COMMENT ON COLUMN lobbies.table_no IS 'at which of its tables, from 0';
CREATE INDEX lobbies_table_of_idx ON lobbies (table_of) WHERE table_of IS NOT NULL;
-- A table has one game at a time, whatever the races.
CREATE UNIQUE INDEX lobbies_table_played_once_idx ON lobbies (table_of, table_no) WHERE status <> 'CLOSED';
GRANT SELECT (tables, table_of, table_no) ON lobbies TO anon, authenticated;

ALTER TABLE lobby_members
    ADD COLUMN table_no smallint NOT NULL DEFAULT 0 CHECK (table_no >= 0),
    DROP CONSTRAINT lobby_members_seat_taken_once,
    ADD CONSTRAINT lobby_members_seat_taken_once UNIQUE (lobby_id, table_no, seat);
COMMENT ON COLUMN lobby_members.table_no IS 'which table the seat is at; 0 in a lobby with one';

CREATE OR REPLACE FUNCTION mirror_lobby_players() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    PERFORM FROM public.lobbies WHERE id IN (OLD.lobby_id, NEW.lobby_id) ORDER BY id FOR NO KEY UPDATE;
    UPDATE public.lobbies AS lobby
    SET players = (
        SELECT coalesce(jsonb_agg(player_id ORDER BY seat IS NULL, table_no, seat, joined_at, player_id), '[]')
        FROM public.lobby_members
        WHERE lobby_id = lobby.id
    )
    WHERE id IN (OLD.lobby_id, NEW.lobby_id);
    RETURN NULL;
END
$$;
DROP TRIGGER lobby_members_mirror ON lobby_members;
CREATE TRIGGER lobby_members_mirror
    AFTER INSERT OR DELETE OR UPDATE OF lobby_id, player_id, table_no, seat, joined_at ON lobby_members
    FOR EACH ROW EXECUTE FUNCTION mirror_lobby_players();

-- Locks go from the lobby of a table's game to the lobby with the tables, never the other way.
CREATE FUNCTION note_table_changed() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    UPDATE public.lobbies SET version = version + 1 WHERE id = NEW.table_of;
    IF NEW.status = 'CLOSED' THEN
        UPDATE public.lobby_members SET ready = false
        WHERE lobby_id = NEW.table_of AND table_no = NEW.table_no AND role = 'player' AND bot IS NULL;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION note_table_changed() IS
    'counts the start and the end of a table''s game as changes of the lobby with the tables';
CREATE TRIGGER lobbies_table_changed AFTER UPDATE OF status ON lobbies FOR EACH ROW
    WHEN (NEW.table_of IS NOT NULL AND (OLD.status = 'PLAYING') <> (NEW.status = 'PLAYING')) EXECUTE FUNCTION note_table_changed();

-- The people of the lobby with the tables may see the games at them.
CREATE OR REPLACE FUNCTION may_see_private_game(game uuid, lobby uuid) RETURNS boolean LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = ''
BEGIN ATOMIC
    SELECT EXISTS (
        SELECT FROM public.profiles f JOIN public.players p ON p.user_id = f.id::text
        WHERE (f.id = (SELECT auth.uid()) OR f.merged_into = (SELECT auth.uid())) AND (
            EXISTS (
                SELECT FROM public.lobbies l LEFT JOIN public.lobbies main ON main.id = l.table_of
                WHERE l.id = lobby AND (l.players ? p.id::text OR main.players ? p.id::text))
            OR EXISTS (
                SELECT FROM public.matches m JOIN public.match_players mp ON mp.match_id = m.id
                WHERE m.game_id = game AND mp.player_id = p.id)));
END;
