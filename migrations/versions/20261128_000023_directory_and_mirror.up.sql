-- ------------------------------------------------------------------ the directory of running games

ALTER TABLE room_directory ADD COLUMN can_watch boolean NOT NULL DEFAULT true;
COMMENT ON COLUMN room_directory.can_watch IS 'false where the lobby has a password: spectators join the lobby with it first';
COMMENT ON COLUMN room_directory.current_players IS 'seats that are held: bots, and players who did not leave, connected or not';
UPDATE room_directory d SET can_watch = false
FROM lobbies l WHERE l.id = d.lobby_id AND l.password_hash IS NOT NULL;

CREATE INDEX room_directory_newest_idx ON room_directory (created_at DESC, game_id) WHERE is_public;

-- Only public rooms are listed. A public lobby is entered by its id as well, and a password is asked
-- for either way, so its code gives nobody more than its id does.
GRANT SELECT (join_code, can_watch) ON room_directory TO anon, authenticated;

CREATE FUNCTION is_game_running(game uuid) RETURNS boolean LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = ''
BEGIN ATOMIC
    SELECT EXISTS (
        SELECT FROM public.games g JOIN public.nodes n ON n.id = g.owner_node
        WHERE g.id = game AND g.status = 'in_progress' AND g.quarantined_at IS NULL
          AND n.lease_until > clock_timestamp());
END;
COMMENT ON FUNCTION is_game_running(uuid) IS 'a game that is not over and not set aside, on a node that is alive';
REVOKE ALL ON FUNCTION is_game_running(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION is_game_running(uuid) TO anon, authenticated, playhall_server, service_role;
