-- Where the logs of finished games are that were moved to the object store, and the one exception to
-- the rule that events are never deleted: those of a game whose archive was verified.
CREATE TABLE game_archives (
    game_id        uuid PRIMARY KEY REFERENCES games (id),
    object_key     text NOT NULL UNIQUE CHECK (object_key <> ''),
    events         int NOT NULL CHECK (events > 0),
    head_hash      bytea NOT NULL CHECK (octet_length(head_hash) = 16),
    content_sha256 bytea NOT NULL CHECK (octet_length(content_sha256) = 32),
    content_bytes  bigint NOT NULL CHECK (content_bytes > 0),
    object_bytes   bigint NOT NULL CHECK (object_bytes > 0),
    last_event_at  timestamptz NOT NULL,
    archived_at    timestamptz NOT NULL DEFAULT now(),
    released_at    timestamptz
);
COMMENT ON TABLE game_archives IS 'logs of finished games in the object store, each verified by reading it back';
COMMENT ON COLUMN game_archives.object_key IS 'where it is in the object store: gzip of JSON lines, as `playhall export` writes them';
COMMENT ON COLUMN game_archives.head_hash IS 'the last hash of the chain';
COMMENT ON COLUMN game_archives.content_sha256 IS 'of the lines, unpacked';
COMMENT ON COLUMN game_archives.content_bytes IS 'of the lines, unpacked';
COMMENT ON COLUMN game_archives.released_at IS 'when the events were deleted from game_events; null while they are there';

SELECT playhall_auth.secure('game_archives');
REVOKE INSERT, UPDATE, DELETE ON game_archives FROM service_role;
GRANT SELECT ON game_archives TO playhall_server;

CREATE TRIGGER game_archives_kept BEFORE DELETE ON game_archives
    FOR EACH ROW WHEN (OLD.released_at IS NOT NULL)
    EXECUTE FUNCTION refuse_change('the archive has the only copy of the log');
CREATE TRIGGER game_archives_kept_whole BEFORE TRUNCATE ON game_archives
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('archives may have the only copy of a log');
ALTER TABLE game_archives ENABLE ALWAYS TRIGGER game_archives_kept;
ALTER TABLE game_archives ENABLE ALWAYS TRIGGER game_archives_kept_whole;

CREATE FUNCTION refuse_unarchived() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    IF EXISTS (SELECT FROM public.game_archives a WHERE a.game_id = OLD.game_id AND a.released_at IS NOT NULL) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION USING
        ERRCODE = 'restrict_violation',
        MESSAGE = format('%s of %s refused: %s', TG_OP, TG_TABLE_NAME, TG_ARGV[0]);
END
$$;
COMMENT ON FUNCTION refuse_unarchived() IS 'refuses to delete an event of a game that is not archived; the argument says why';
REVOKE ALL ON FUNCTION refuse_unarchived() FROM PUBLIC;

DROP TRIGGER game_events_immutable ON game_events;
CREATE TRIGGER game_events_immutable BEFORE UPDATE ON game_events
    FOR EACH ROW EXECUTE FUNCTION refuse_change('events are never changed and never deleted');
CREATE TRIGGER game_events_archived_first BEFORE DELETE ON game_events
    FOR EACH ROW EXECUTE FUNCTION refuse_unarchived('events are never changed and never deleted');
ALTER TABLE game_events ENABLE ALWAYS TRIGGER game_events_immutable;
ALTER TABLE game_events ENABLE ALWAYS TRIGGER game_events_archived_first;
