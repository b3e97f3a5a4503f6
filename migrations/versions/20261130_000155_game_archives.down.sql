DO $$
BEGIN
    IF EXISTS (SELECT FROM game_archives WHERE released_at IS NOT NULL) THEN
        RAISE EXCEPTION 'logs of games are only in their archives; bring them back first: playhall unarchive --all';
    END IF;
END
$$;
DROP TRIGGER game_events_archived_first ON game_events;
DROP TRIGGER game_events_immutable ON game_events;
CREATE TRIGGER game_events_immutable BEFORE UPDATE OR DELETE ON game_events
    FOR EACH ROW EXECUTE FUNCTION refuse_change('events are never changed and never deleted');
ALTER TABLE game_events ENABLE ALWAYS TRIGGER game_events_immutable;
DROP TABLE game_archives;
DROP FUNCTION refuse_unarchived();
