-- Tournaments: who takes part, who meets whom, and how it went.

CREATE TABLE tournaments (
    id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    title         text NOT NULL CHECK (char_length(title) BETWEEN 1 AND 100),
    ruleset       text NOT NULL,
    config        jsonb NOT NULL DEFAULT '{}',
    format        text NOT NULL CHECK (format IN ('swiss', 'round_robin', 'single_elimination', 'arena')),
    status        text NOT NULL DEFAULT 'registration'
                  CHECK (status IN ('registration', 'running', 'completed', 'cancelled')),
    version       bigint NOT NULL DEFAULT 1,
    starts_at     timestamptz NOT NULL,
    entrants_min  int NOT NULL CHECK (entrants_min BETWEEN 2 AND 1024),
    entrants_max  int NOT NULL CHECK (entrants_max BETWEEN entrants_min AND 1024),
    rounds        int CHECK (rounds > 0),
    round         int NOT NULL DEFAULT 0 CHECK (round >= 0),
    late_join     boolean NOT NULL DEFAULT false,
    check_in_s    int NOT NULL DEFAULT 0 CHECK (check_in_s BETWEEN 0 AND 3600),
    duration_s    int CHECK (duration_s BETWEEN 1 AND 86400),
    created_by    uuid REFERENCES profiles ON DELETE SET NULL,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at    timestamptz,
    ends_at       timestamptz,
    completed_at  timestamptz,
    cancel_reason text CHECK (char_length(cancel_reason) <= 300),
    CHECK ((format = 'arena') = (duration_s IS NOT NULL)),
    CHECK ((status IN ('completed', 'cancelled')) = (completed_at IS NOT NULL)),
    CHECK ((status = 'cancelled') = (cancel_reason IS NOT NULL))
);
CREATE INDEX tournaments_listed_idx ON tournaments (starts_at DESC, id);
CREATE INDEX tournaments_open_idx ON tournaments (starts_at, id) WHERE completed_at IS NULL;
CREATE INDEX tournaments_created_by_idx ON tournaments (created_by) WHERE created_by IS NOT NULL;
COMMENT ON TABLE tournaments IS 'a competition of many games of one ruleset';
COMMENT ON COLUMN tournaments.version IS 'grows with every change; whoever changes a tournament holds its row';
COMMENT ON COLUMN tournaments.starts_at IS 'when registration ends and the first round is paired';
COMMENT ON COLUMN tournaments.rounds IS 'how many there are; from the start on, also where it depends on the entrants';
COMMENT ON COLUMN tournaments.round IS 'the present round; 0 before the start';
COMMENT ON COLUMN tournaments.check_in_s IS 'how long people have to check in for a game; 0: they need not';
COMMENT ON COLUMN tournaments.ends_at IS 'when an arena pairs nobody any more';

CREATE TABLE tournament_entrants (
    tournament_id uuid NOT NULL REFERENCES tournaments ON DELETE CASCADE,
    number        int NOT NULL CHECK (number > 0),
    player_id     uuid NOT NULL REFERENCES players,
    bot           text,
    registered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    withdrawn_at  timestamptz,
    PRIMARY KEY (tournament_id, number),
    UNIQUE (tournament_id, player_id)
);
CREATE INDEX tournament_entrants_player_id_idx ON tournament_entrants (player_id);
COMMENT ON TABLE tournament_entrants IS 'who takes part in a tournament';
COMMENT ON COLUMN tournament_entrants.number IS 'the order of registration: the seed, and the last tie-break';
COMMENT ON COLUMN tournament_entrants.bot IS 'the ruleset''s bot that plays for it; null for a person';

CREATE TABLE tournament_pairings (
    id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tournament_id uuid NOT NULL REFERENCES tournaments ON DELETE CASCADE,
    round         int NOT NULL CHECK (round > 0),
    board         int NOT NULL CHECK (board > 0),
    attempt       int NOT NULL DEFAULT 1 CHECK (attempt > 0),
    first         int NOT NULL,
    second        int,
    kind          text NOT NULL DEFAULT 'game' CHECK (kind IN ('game', 'bye', 'forfeit', 'void')),
    status        text NOT NULL CHECK (status IN ('waiting', 'ready', 'playing', 'decided', 'void')),
    first_points  int CHECK (first_points BETWEEN 0 AND 2),
    second_points int CHECK (second_points BETWEEN 0 AND 2),
    first_ready   boolean NOT NULL DEFAULT true,
    second_ready  boolean NOT NULL DEFAULT true,
    ready_by      timestamptz,
    lobby_id      uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    game_id       uuid,
    claimed_until timestamptz,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    decided_at    timestamptz,
    CONSTRAINT tournament_pairings_once UNIQUE (tournament_id, round, board, attempt),
    FOREIGN KEY (tournament_id, first) REFERENCES tournament_entrants ON DELETE CASCADE,
    FOREIGN KEY (tournament_id, second) REFERENCES tournament_entrants ON DELETE CASCADE,
    CHECK (first <> second),
    CHECK ((status = 'decided') = (decided_at IS NOT NULL AND first_points IS NOT NULL AND second_points IS NOT NULL)),
    CHECK (kind <> 'bye' OR second IS NULL),
    CHECK ((status = 'waiting') <= (ready_by IS NOT NULL))
);
CREATE INDEX tournament_pairings_first_idx ON tournament_pairings (tournament_id, first);
CREATE INDEX tournament_pairings_second_idx ON tournament_pairings (tournament_id, second);
CREATE INDEX tournament_pairings_open_idx ON tournament_pairings (tournament_id, status)
    WHERE status IN ('waiting', 'ready', 'playing');
COMMENT ON TABLE tournament_pairings IS 'who meets whom, and how it went';
COMMENT ON COLUMN tournament_pairings.attempt IS 'above 1: a drawn game of an elimination is played again';
COMMENT ON COLUMN tournament_pairings.first IS 'the number of the entrant who has the first seat';
COMMENT ON COLUMN tournament_pairings.second IS 'the other one''s; null for a bye';
COMMENT ON COLUMN tournament_pairings.kind IS 'void: the game was set aside, and counts as drawn';
COMMENT ON COLUMN tournament_pairings.status IS
    'waiting for check-ins, ready to be started, playing, decided; void: the tournament was cancelled';
COMMENT ON COLUMN tournament_pairings.lobby_id IS
    'the lobby that the game is made of, chosen before it exists, so that there is one game however often it is tried';
COMMENT ON COLUMN tournament_pairings.claimed_until IS 'until when one node tries to start the game';

SELECT playhall_auth.secure('tournaments', 'tournament_entrants', 'tournament_pairings');
GRANT SELECT, INSERT, UPDATE ON tournaments, tournament_pairings TO playhall_server;
GRANT SELECT, INSERT, UPDATE, DELETE ON tournament_entrants TO playhall_server;
