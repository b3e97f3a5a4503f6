-- Rematches that players agree on, and series of games.

CREATE TABLE series (
    series_id   uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    after_game  uuid NOT NULL UNIQUE REFERENCES games ON DELETE CASCADE,
    ruleset     text NOT NULL,
    config      jsonb NOT NULL,
    seats       jsonb NOT NULL CHECK (jsonb_typeof(seats) = 'array'),
    best_of     int NOT NULL CHECK (best_of BETWEEN 1 AND 15),
    agreed      uuid[] NOT NULL DEFAULT '{}',
    state       text NOT NULL DEFAULT 'proposed' CHECK (state IN ('proposed', 'playing', 'finished')),
    number      int NOT NULL DEFAULT 0 CHECK (number >= 0),
    game_id     uuid,
    is_starting boolean NOT NULL DEFAULT false,
    claimed_until timestamptz NOT NULL DEFAULT '-infinity',
    wins        jsonb NOT NULL DEFAULT '{}',
    winner_id   uuid,
    version     int NOT NULL DEFAULT 1,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX series_changed_idx ON series (changed_at);
CREATE INDEX series_starting_idx ON series (claimed_until) WHERE is_starting;
CREATE INDEX series_game_idx ON series (game_id) WHERE game_id IS NOT NULL;
COMMENT ON TABLE series IS 'games that the players of a finished game agreed on: one for a rematch, several for a series';
COMMENT ON COLUMN series.after_game IS 'the game after which it was proposed';
COMMENT ON COLUMN series.seats IS 'players in the order of the seats of that game; null for a bot';
COMMENT ON COLUMN series.agreed IS 'who has agreed; it begins when everybody has';
COMMENT ON COLUMN series.number IS 'the number of the game that is played, or is about to start, from 1';
COMMENT ON COLUMN series.is_starting IS 'whether that game is about to start';

SELECT playhall_auth.secure('series');
REVOKE ALL ON series FROM service_role;
GRANT SELECT, INSERT, UPDATE, DELETE ON series TO playhall_server;
