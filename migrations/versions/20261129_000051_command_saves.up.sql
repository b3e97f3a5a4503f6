-- Saves that are the log of a ruleset. The state of such a slot follows from its log: the server
-- decides each command by the rules, and `playhall saves verify` decides all of them again.

CREATE TABLE save_logs (
    slot_id         uuid PRIMARY KEY,
    account_id      uuid NOT NULL,
    player_id       uuid NOT NULL,
    ruleset         text NOT NULL CHECK (char_length(ruleset) BETWEEN 1 AND 64),
    ruleset_version int NOT NULL CHECK (ruleset_version > 0),
    config          jsonb NOT NULL CHECK (jsonb_typeof(config) = 'object'),
    seed            text NOT NULL CHECK (char_length(seed) BETWEEN 16 AND 128),
    next_index      int NOT NULL DEFAULT 0 CHECK (next_index >= 0),
    hash            bytea NOT NULL CHECK (octet_length(hash) = 16),
    began_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (slot_id, account_id) REFERENCES save_slots (slot_id, account_id)
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE INDEX save_logs_account_id_idx ON save_logs (account_id);
COMMENT ON TABLE save_logs IS 'the slots that are the log of a ruleset';
COMMENT ON COLUMN save_logs.player_id IS 'who sits at the one seat';
COMMENT ON COLUMN save_logs.seed IS 'secret: what all chance of the rules comes from';
COMMENT ON COLUMN save_logs.next_index IS 'the index that the next event gets';
COMMENT ON COLUMN save_logs.hash IS 'of the last event';

CREATE TABLE save_log_events (
    slot_id     uuid NOT NULL REFERENCES save_logs (slot_id) ON DELETE CASCADE,
    event_index int NOT NULL CHECK (event_index >= 0),
    type        text NOT NULL CHECK (type ~ '^[a-z][a-z0-9_]{0,63}$'),
    payload     jsonb NOT NULL CHECK (jsonb_typeof(payload) = 'object'),
    hash        bytea NOT NULL CHECK (octet_length(hash) = 16),
    at          timestamptz NOT NULL,
    PRIMARY KEY (slot_id, event_index)
);
COMMENT ON TABLE save_log_events IS 'the events of those logs; only ever added to';
COMMENT ON COLUMN save_log_events.hash IS 'chained as in game_events; before the first event stands the slot''s id';

CREATE TABLE save_log_mutations (
    slot_id      uuid NOT NULL REFERENCES save_logs (slot_id) ON DELETE CASCADE,
    mutation_id  uuid NOT NULL,
    content_hash text NOT NULL,
    first_index  int NOT NULL,
    end_index    int NOT NULL,
    PRIMARY KEY (slot_id, mutation_id)
);
COMMENT ON TABLE save_log_mutations IS 'which commands led to which events, so that a repeated request is answered as the first';
COMMENT ON COLUMN save_log_mutations.end_index IS 'the index after its last event';

-- Events and seeds have what the rules hide: people get them from the server, each as they may.
SELECT playhall_auth.secure('save_logs', 'save_log_events', 'save_log_mutations');
REVOKE ALL ON save_logs, save_log_events, save_log_mutations FROM service_role;
GRANT SELECT, INSERT ON save_logs, save_log_events, save_log_mutations TO playhall_server;
GRANT UPDATE (next_index, hash) ON save_logs TO playhall_server;
