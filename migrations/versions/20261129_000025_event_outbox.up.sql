-- Domain events that must not be lost: each is written in the transaction that caused it, and any
-- node delivers it to its listeners, at least once.
CREATE TABLE event_outbox (
    seq             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id        uuid NOT NULL DEFAULT gen_random_uuid(),
    name            text NOT NULL,
    version         int NOT NULL CHECK (version > 0),
    payload         jsonb NOT NULL,
    occurred_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts        int NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    delivered_to    text[] NOT NULL DEFAULT '{}',
    done_at         timestamptz,
    dead_at         timestamptz,
    last_error      text,
    CHECK (done_at IS NULL OR dead_at IS NULL)
);
CREATE INDEX event_outbox_due_idx ON event_outbox (next_attempt_at, seq)
    WHERE done_at IS NULL AND dead_at IS NULL;
CREATE INDEX event_outbox_done_idx ON event_outbox (done_at) WHERE done_at IS NOT NULL;
CREATE INDEX event_outbox_dead_idx ON event_outbox (dead_at) WHERE dead_at IS NOT NULL;
COMMENT ON TABLE event_outbox IS 'domain events on their way to their listeners';
COMMENT ON COLUMN event_outbox.event_id IS 'what listeners tell an event by that they get twice';
COMMENT ON COLUMN event_outbox.payload IS 'ids and figures, never names or addresses';
COMMENT ON COLUMN event_outbox.next_attempt_at IS 'when it is due; while a node delivers it, when it would be due again';
COMMENT ON COLUMN event_outbox.delivered_to IS 'the listeners that have it';
COMMENT ON COLUMN event_outbox.dead_at IS 'when it was given up, after too many attempts';

SELECT playhall_auth.secure('event_outbox');
REVOKE ALL ON event_outbox FROM service_role;
GRANT SELECT, INSERT, UPDATE, DELETE ON event_outbox TO playhall_server;

-- A lobby closes in several ways, one of them a statement of its host under row level security, who
-- may not write here. So the row itself tells.
CREATE FUNCTION tell_lobby_closed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' AS $$
BEGIN
    INSERT INTO public.event_outbox (name, version, payload)
    VALUES ('lobby.closed', 1, pg_catalog.jsonb_build_object(
        'lobby_id', NEW.id, 'mode', NEW.mode, 'ruleset', NEW.ruleset,
        'game_id', NEW.game_id, 'match_id', NEW.match_id));
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION tell_lobby_closed() IS 'writes the event lobby.closed, whoever closed it';
REVOKE ALL ON FUNCTION tell_lobby_closed() FROM PUBLIC;
CREATE TRIGGER lobbies_closed AFTER UPDATE OF status ON lobbies
    FOR EACH ROW WHEN (OLD.status <> 'CLOSED' AND NEW.status = 'CLOSED')
    EXECUTE FUNCTION tell_lobby_closed();
