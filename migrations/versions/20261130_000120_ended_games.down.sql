DROP INDEX audit_log_action_idx, audit_log_actor_idx, games_quarantined_idx;
DROP TRIGGER games_end_is_final ON games;
ALTER TABLE games
    DROP COLUMN quarantine_trace,
    DROP COLUMN ended_at,
    DROP COLUMN end_reason;
