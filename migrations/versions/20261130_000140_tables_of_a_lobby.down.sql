CREATE OR REPLACE FUNCTION may_see_private_game(game uuid, lobby uuid) RETURNS boolean LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = ''
BEGIN ATOMIC
    SELECT EXISTS (
        SELECT FROM public.profiles f JOIN public.players p ON p.user_id = f.id::text
        WHERE (f.id = (SELECT auth.uid()) OR f.merged_into = (SELECT auth.uid())) AND (
            EXISTS (SELECT FROM public.lobbies l WHERE l.id = lobby AND l.players ? p.id::text)
            OR EXISTS (
                SELECT FROM public.matches m JOIN public.match_players mp ON mp.match_id = m.id
                WHERE m.game_id = game AND mp.player_id = p.id)));
END;
DROP TRIGGER lobbies_table_changed ON lobbies;
DROP FUNCTION note_table_changed();

-- One table is left; whoever sits at another one stands up.
UPDATE lobby_members SET role = 'spectator', seat = NULL, ready = false WHERE table_no > 0 AND role = 'player';
DROP TRIGGER lobby_members_mirror ON lobby_members;
CREATE TRIGGER lobby_members_mirror
    AFTER INSERT OR DELETE OR UPDATE OF lobby_id, player_id, seat, joined_at ON lobby_members
    FOR EACH ROW EXECUTE FUNCTION mirror_lobby_players();
CREATE OR REPLACE FUNCTION mirror_lobby_players() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    PERFORM FROM public.lobbies WHERE id IN (OLD.lobby_id, NEW.lobby_id) ORDER BY id FOR NO KEY UPDATE;
    UPDATE public.lobbies AS lobby
    SET players = (
        SELECT coalesce(jsonb_agg(player_id ORDER BY seat NULLS LAST, joined_at, player_id), '[]')
        FROM public.lobby_members
        WHERE lobby_id = lobby.id
    )
    WHERE id IN (OLD.lobby_id, NEW.lobby_id);
    RETURN NULL;
END
$$;
ALTER TABLE lobby_members
    DROP CONSTRAINT lobby_members_seat_taken_once,
    DROP COLUMN table_no,
    ADD CONSTRAINT lobby_members_seat_taken_once UNIQUE (lobby_id, seat);
DROP INDEX lobbies_table_played_once_idx, lobbies_table_of_idx;
ALTER TABLE lobbies
    DROP COLUMN table_no,
    DROP COLUMN table_of,
    DROP COLUMN tables;
