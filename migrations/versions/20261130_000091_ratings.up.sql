-- Ratings of players, and the games that changed them.

CREATE TABLE player_ratings (
    ruleset    text NOT NULL,
    player_id  uuid NOT NULL REFERENCES players ON DELETE CASCADE,
    rating     float8 NOT NULL,
    deviation  float8 NOT NULL CHECK (deviation > 0),
    volatility float8 NOT NULL CHECK (volatility >= 0),
    games      int NOT NULL DEFAULT 0 CHECK (games >= 0),
    rated_at   timestamptz,
    PRIMARY KEY (ruleset, player_id)
);
CREATE INDEX player_ratings_rank_idx ON player_ratings (ruleset, rating DESC, player_id) WHERE games > 0;
CREATE INDEX player_ratings_player_idx ON player_ratings (player_id);
COMMENT ON TABLE player_ratings IS 'how strong a player is at a ruleset, after all of their rated games';
COMMENT ON COLUMN player_ratings.deviation IS 'how uncertain the rating is, as a standard deviation';
COMMENT ON COLUMN player_ratings.volatility IS 'how much the strength varies (Glicko-2); 0 where the system has none';

CREATE TABLE rated_games (
    number       bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    game_id      uuid PRIMARY KEY REFERENCES games ON DELETE CASCADE,
    ruleset      text NOT NULL,
    completed_at timestamptz NOT NULL,
    rated_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX rated_games_order_idx ON rated_games (ruleset, number);
COMMENT ON TABLE rated_games IS 'a game that changed ratings, so that it does so once';
COMMENT ON COLUMN rated_games.number IS
    'in which order games changed ratings; drawn under locks on their players, so it orders any two games of one player';

CREATE TABLE rating_changes (
    game_id    uuid NOT NULL REFERENCES rated_games ON DELETE CASCADE,
    player_id  uuid NOT NULL REFERENCES players ON DELETE CASCADE,
    number     bigint NOT NULL,
    ruleset    text NOT NULL,
    place      int NOT NULL CHECK (place > 0),
    before     float8 NOT NULL,
    rating     float8 NOT NULL,
    deviation  float8 NOT NULL,
    volatility float8 NOT NULL,
    PRIMARY KEY (game_id, player_id)
);
CREATE INDEX rating_changes_player_idx ON rating_changes (player_id, ruleset, number DESC);
COMMENT ON TABLE rating_changes IS 'a player''s rating before and after a rated game';

SELECT playhall_auth.secure('player_ratings', 'rated_games', 'rating_changes');
REVOKE ALL ON rated_games, rating_changes FROM service_role;
GRANT SELECT, INSERT, UPDATE ON player_ratings, rating_changes TO playhall_server;
GRANT SELECT, INSERT ON rated_games TO playhall_server;
