-- Achievements of players, and the games that were counted for them.

CREATE TABLE player_achievements (
    player_id  uuid NOT NULL REFERENCES players,
    ruleset    text NOT NULL,
    key        text NOT NULL,
    progress   bigint NOT NULL CHECK (progress >= 0),
    granted_at timestamptz,
    game_id    uuid,
    PRIMARY KEY (player_id, ruleset, key),
    CHECK ((granted_at IS NULL) = (game_id IS NULL))
);
COMMENT ON TABLE player_achievements IS 'how far players are with the achievements of rulesets; follows from the logs';
COMMENT ON COLUMN player_achievements.game_id IS 'the game that reached it';

CREATE TABLE achievement_games (
    player_id uuid NOT NULL REFERENCES players,
    game_id   uuid NOT NULL,
    PRIMARY KEY (player_id, game_id)
);
COMMENT ON TABLE achievement_games IS 'which games were counted for whom, so that each counts once';

SELECT playhall_auth.secure('player_achievements', 'achievement_games');
GRANT SELECT, INSERT, UPDATE, DELETE ON player_achievements TO playhall_server;
GRANT SELECT, INSERT, DELETE ON achievement_games TO playhall_server;
