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

-- ------------------------------------------------------------------ mirrored days

CREATE TABLE epoch_mirrors (
    epoch_id   uuid PRIMARY KEY REFERENCES epochs (id) ON DELETE CASCADE,
    source     text NOT NULL CHECK (source ~ '^[a-z0-9][a-z0-9._-]{0,63}$'),
    started_at timestamptz NOT NULL DEFAULT now(),
    last_seq   bigint NOT NULL DEFAULT 0 CHECK (last_seq >= 0),
    last_at    timestamptz
);
COMMENT ON TABLE epoch_mirrors IS 'days that another system plays; their events come from it alone';
COMMENT ON COLUMN epoch_mirrors.last_seq IS 'the source''s number of the last line that was applied; 0 before the first';
COMMENT ON COLUMN epoch_mirrors.last_at IS 'the time of that line';
SELECT playhall_auth.secure('epoch_mirrors');
GRANT SELECT, INSERT, UPDATE ON epoch_mirrors TO playhall_server;

-- Fires after epoch_votes_taken, by its name, so the day is locked when this looks.
CREATE FUNCTION playhall_auth.refuse_vote_beside_mirror() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    IF EXISTS (SELECT FROM public.epoch_mirrors m WHERE m.epoch_id = NEW.epoch_id)
        AND NOT EXISTS (SELECT FROM public.epoch_clock c WHERE c.follows_setting) THEN
        RAISE EXCEPTION 'the votes of a mirrored day come from its source' USING ERRCODE = 'PH006';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION playhall_auth.refuse_vote_beside_mirror() IS 'refuses votes on a mirrored day that its mirror did not write';
REVOKE ALL ON FUNCTION playhall_auth.refuse_vote_beside_mirror() FROM PUBLIC;

CREATE TRIGGER epoch_votes_taken_here BEFORE INSERT OR UPDATE ON epoch_votes
    FOR EACH ROW EXECUTE FUNCTION playhall_auth.refuse_vote_beside_mirror();
