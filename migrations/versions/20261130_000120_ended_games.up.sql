-- A game that an operator ended is quarantined for good: whatever refuses the one refuses the other.
ALTER TABLE games
    ADD COLUMN quarantine_trace text,
    ADD COLUMN ended_at timestamptz,
    ADD COLUMN end_reason text,
    ADD CONSTRAINT games_trace_of_quarantine CHECK (quarantine_trace IS NULL OR quarantined_at IS NOT NULL),
    ADD CONSTRAINT games_end_has_reason CHECK ((ended_at IS NULL) = (end_reason IS NULL)),
    ADD CONSTRAINT games_ended_are_quarantined CHECK (ended_at IS NULL OR quarantined_at IS NOT NULL);
COMMENT ON COLUMN games.quarantine_trace IS 'where the rules failed, for operators; null where the log failed a check';
COMMENT ON COLUMN games.ended_at IS 'when an operator ended the game before its rules did; it stays quarantined';
COMMENT ON COLUMN games.end_reason IS 'what the players are told about that';

CREATE TRIGGER games_end_is_final BEFORE UPDATE OF ended_at, quarantined_at ON games
    FOR EACH ROW WHEN (
        OLD.ended_at IS NOT NULL
        AND (NEW.ended_at IS DISTINCT FROM OLD.ended_at OR NEW.quarantined_at IS NULL)
    ) EXECUTE FUNCTION refuse_change('a game that an operator ended stays ended');
ALTER TABLE games ENABLE ALWAYS TRIGGER games_end_is_final;

-- What operators look through: few games are set aside, and they are found by when that was.
CREATE INDEX games_quarantined_idx ON games (quarantined_at) WHERE quarantined_at IS NOT NULL;
CREATE INDEX audit_log_actor_idx ON audit_log (actor, id);
CREATE INDEX audit_log_action_idx ON audit_log (action, id);
