-- Totals over all games ever, which no request could afford to count: a finished game never changes,
-- so it is counted once, in the transaction that ends it. Its row is one of sixteen, by the game's
-- id, so that games that end at once rarely wait for each other. Running games are counted when
-- somebody asks: there are few, and an index finds them.
CREATE TABLE game_totals (
    shard  int PRIMARY KEY CHECK (shard BETWEEN 0 AND 15),
    games  bigint NOT NULL DEFAULT 0 CHECK (games >= 0),
    events bigint NOT NULL DEFAULT 0 CHECK (events >= 0)
) WITH (fillfactor = 50);
COMMENT ON TABLE game_totals IS 'finished games and their events, in sixteen rows to be added up';
COMMENT ON COLUMN game_totals.shard IS 'which row counts a game follows from its id';
COMMENT ON COLUMN game_totals.games IS 'finished games of this shard';
COMMENT ON COLUMN game_totals.events IS 'their events';
SELECT playhall_auth.secure('game_totals');
REVOKE INSERT, UPDATE, DELETE ON game_totals FROM service_role;
GRANT SELECT ON game_totals TO playhall_server;

CREATE FUNCTION game_shard(game uuid) RETURNS int LANGUAGE sql IMMUTABLE SET search_path = '' AS $$
    SELECT hashtext(game::text) & 15 $$;
COMMENT ON FUNCTION game_shard IS 'which row of game_totals counts a game';

CREATE FUNCTION count_finished_game() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' AS $$
BEGIN
    INSERT INTO public.game_totals AS t (shard, games, events)
    VALUES (public.game_shard(NEW.id), 1, NEW.next_event_index)
    ON CONFLICT (shard) DO UPDATE SET games = t.games + 1, events = t.events + excluded.events;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION count_finished_game() IS 'adds a game that has just ended to game_totals';
REVOKE ALL ON FUNCTION game_shard(uuid), count_finished_game() FROM PUBLIC;

-- Appending moves the head and leaves the status out, so no trigger looks at it.
CREATE TRIGGER games_finished_are_counted AFTER UPDATE OF status ON games
    FOR EACH ROW WHEN (NEW.status = 'completed' AND OLD.status <> 'completed')
    EXECUTE FUNCTION count_finished_game();
CREATE TRIGGER games_inserted_finished_are_counted AFTER INSERT ON games
    FOR EACH ROW WHEN (NEW.status = 'completed') EXECUTE FUNCTION count_finished_game();

INSERT INTO game_totals (shard, games, events)
SELECT game_shard(id), count(*), sum(next_event_index) FROM games WHERE status = 'completed' GROUP BY 1;
