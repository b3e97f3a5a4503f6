-- Matchmaking: who waits for a match, and the matches that were found.

CREATE TABLE match_queues (
    ruleset  text PRIMARY KEY CHECK (ruleset ~ '^[a-z0-9_]{1,64}$'),
    waited_s float8 NOT NULL DEFAULT 0 CHECK (waited_s >= 0)
);
COMMENT ON TABLE match_queues IS 'the queue of a ruleset; whoever holds its row looks for matches, one node at a time';
COMMENT ON COLUMN match_queues.waited_s IS 'how long people waited lately: an exponential average';

CREATE TABLE found_matches (
    match_id      uuid PRIMARY KEY,
    ruleset       text NOT NULL,
    config        jsonb NOT NULL,
    seats         jsonb NOT NULL CHECK (jsonb_typeof(seats) = 'array'),
    region        text,
    state         text NOT NULL CHECK (state IN ('offered', 'starting', 'started')),
    accept_by     timestamptz,
    claimed_until timestamptz NOT NULL DEFAULT '-infinity',
    attempts      int NOT NULL DEFAULT 0,
    game_id       uuid,
    found_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((state = 'started') = (game_id IS NOT NULL))
);
CREATE INDEX found_matches_due_idx ON found_matches (claimed_until) WHERE state = 'starting';
CREATE INDEX found_matches_offered_idx ON found_matches (accept_by) WHERE state = 'offered';
CREATE INDEX found_matches_found_idx ON found_matches (found_at);
COMMENT ON TABLE found_matches IS 'a match that was found, until its players were told; its lobby has the same id';
COMMENT ON COLUMN found_matches.seats IS 'players in the order of seats; null for a bot';
COMMENT ON COLUMN found_matches.claimed_until IS 'until when a node is starting it';

CREATE TABLE match_tickets (
    ticket_id  uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    ruleset    text NOT NULL REFERENCES match_queues,
    seats      int NOT NULL CHECK (seats BETWEEN 1 AND 64),
    config     jsonb NOT NULL,
    region     text,
    rating     float8 NOT NULL,
    properties jsonb NOT NULL DEFAULT '{}',
    conditions jsonb NOT NULL DEFAULT '[]',
    with_bots  boolean NOT NULL,
    queued_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    match_id   uuid REFERENCES found_matches ON DELETE CASCADE
);
CREATE INDEX match_tickets_waiting_idx ON match_tickets (ruleset, queued_at, ticket_id) WHERE match_id IS NULL;
CREATE INDEX match_tickets_match_idx ON match_tickets (match_id) WHERE match_id IS NOT NULL;
COMMENT ON TABLE match_tickets IS 'people who wait together for a match';

CREATE TABLE match_ticket_players (
    player_id    uuid PRIMARY KEY REFERENCES players ON DELETE CASCADE,
    ticket_id    uuid NOT NULL REFERENCES match_tickets ON DELETE CASCADE,
    seen_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    has_accepted boolean NOT NULL DEFAULT false
);
CREATE INDEX match_ticket_players_ticket_idx ON match_ticket_players (ticket_id);
CREATE INDEX match_ticket_players_seen_idx ON match_ticket_players (seen_at);
COMMENT ON TABLE match_ticket_players IS 'who is on a ticket; a player is on one at most';
COMMENT ON COLUMN match_ticket_players.seen_at IS 'when a node last had a connection of the player';

SELECT playhall_auth.secure('match_queues', 'found_matches', 'match_tickets', 'match_ticket_players');
REVOKE ALL ON match_queues, found_matches, match_tickets, match_ticket_players FROM service_role;
GRANT SELECT, INSERT, UPDATE ON match_queues TO playhall_server;
GRANT SELECT, INSERT, UPDATE, DELETE ON found_matches, match_tickets, match_ticket_players TO playhall_server;
