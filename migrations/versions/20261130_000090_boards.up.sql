-- Leaderboards of the statistics that rulesets declare.

CREATE TABLE ruleset_seasons (
    ruleset    text NOT NULL CHECK (ruleset ~ '^[a-z0-9_]{1,64}$'),
    name       text NOT NULL CHECK (name ~ '^[a-z0-9][a-z0-9_-]{0,63}$'),
    starts_at  timestamptz NOT NULL,
    ends_at    timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (ruleset, name),
    CONSTRAINT ruleset_seasons_ends_later CHECK (ends_at > starts_at)
);
COMMENT ON TABLE ruleset_seasons IS 'a period with boards of its own; made before it begins, so that no game of it was counted before';

CREATE TABLE board_games (
    game_id      uuid PRIMARY KEY REFERENCES games ON DELETE CASCADE,
    ruleset      text NOT NULL,
    completed_at timestamptz NOT NULL,
    counted_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE board_games IS 'a game that the boards have counted, so that it is counted once';

CREATE TABLE board_entries (
    ruleset     text NOT NULL,
    statistic   text NOT NULL CHECK (statistic ~ '^[a-z0-9_]{1,64}$'),
    period      text NOT NULL CHECK (char_length(period) <= 80),
    player_id   uuid NOT NULL REFERENCES players ON DELETE CASCADE,
    kind        text NOT NULL DEFAULT 'person' CHECK (kind IN ('person', 'bot', 'hidden')),
    value       bigint NOT NULL,
    rank_value  bigint NOT NULL,
    games       int NOT NULL CHECK (games > 0),
    achieved_at timestamptz NOT NULL,
    game_id     uuid NOT NULL,
    ends_at     timestamptz,
    PRIMARY KEY (ruleset, statistic, period, player_id)
);
CREATE INDEX board_entries_rank_idx
    ON board_entries (ruleset, statistic, period, rank_value DESC, achieved_at, player_id);
CREATE INDEX board_entries_player_idx ON board_entries (player_id);
CREATE INDEX board_entries_ended_idx ON board_entries (ends_at) WHERE ends_at IS NOT NULL;
COMMENT ON TABLE board_entries IS 'a player''s statistic over the games of a period; computed from the logs';
COMMENT ON COLUMN board_entries.period IS 'all, season:NAME, day:2026-11-30 or week:2026-W49, in UTC';
COMMENT ON COLUMN board_entries.kind IS 'bots are shown only if asked for, and hidden players never';
COMMENT ON COLUMN board_entries.rank_value IS 'the value, negated where the lowest leads';
COMMENT ON COLUMN board_entries.achieved_at IS 'when the game ended that the value is from; of equal values, the earlier is listed first';
COMMENT ON COLUMN board_entries.ends_at IS 'when the period ends, for days and weeks, which are deleted later';

CREATE TABLE board_hidden_players (
    player_id uuid PRIMARY KEY REFERENCES players ON DELETE CASCADE,
    hidden_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE board_hidden_players IS 'a player who is in no leaderboard: by choice, or one of a load test';

SELECT playhall_auth.secure('ruleset_seasons', 'board_games', 'board_entries', 'board_hidden_players');
REVOKE ALL ON board_games, board_hidden_players FROM service_role;
GRANT SELECT, INSERT ON ruleset_seasons, board_games TO playhall_server;
GRANT SELECT, INSERT, UPDATE, DELETE ON board_entries TO playhall_server;
GRANT SELECT, INSERT, DELETE ON board_hidden_players TO playhall_server;
