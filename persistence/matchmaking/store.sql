-- name: ensure_queue
-- Make the queue of a ruleset, if there is none.
INSERT INTO match_queues (ruleset) VALUES ($1) ON CONFLICT DO NOTHING;

-- name: lock_party
-- Lock people who want to queue, in id order.
SELECT id FROM players WHERE id = ANY ($1::uuid[]) AND erased_at IS NULL ORDER BY id FOR NO KEY UPDATE;

-- name: forget_started
-- Forget that a match of some people was found, once it has started.
DELETE FROM match_ticket_players p USING match_tickets t JOIN found_matches f ON f.match_id = t.match_id
WHERE p.ticket_id = t.ticket_id AND f.state = 'started' AND p.player_id = ANY ($1::uuid[]);

-- name: is_queued
-- Say whether one of some people is in a queue.
SELECT EXISTS (SELECT FROM match_ticket_players WHERE player_id = ANY ($1::uuid[]));

-- name: count_waiting
-- Count the tickets of a queue, up to a bound.
SELECT count(*) FROM (SELECT FROM match_tickets WHERE ruleset = $1 AND match_id IS NULL LIMIT $2) AS waiting;

-- name: add_ticket
-- Add a ticket; says how long people waited lately.
INSERT INTO match_tickets (ruleset, seats, config, region, rating, properties, conditions, with_bots)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
RETURNING ticket_id, queued_at, (SELECT q.waited_s FROM match_queues q WHERE q.ruleset = $1) AS usual_s;

-- name: add_ticket_players
-- Add the people of a ticket.
INSERT INTO match_ticket_players (player_id, ticket_id) SELECT t, $1 FROM unnest($2::uuid[]) AS t;

-- name: lock_queue
-- Hold a queue, unless another node does; returns how long people waited lately.
SELECT waited_s FROM match_queues WHERE ruleset = $1 FOR UPDATE SKIP LOCKED;

-- name: busy_queues
-- List the queues in which somebody waits.
SELECT q.ruleset FROM match_queues q
WHERE EXISTS (SELECT FROM match_tickets t WHERE t.ruleset = q.ruleset AND t.match_id IS NULL) ORDER BY q.ruleset;

-- name: waiting_tickets
-- List the tickets of a queue whose people were all seen lately, the longest-waiting first.
SELECT t.ticket_id, t.seats, t.config, t.region, t.rating, t.properties, t.conditions, t.with_bots,
       extract(epoch FROM clock_timestamp() - t.queued_at)::float8 AS waited_s, on_it.players
FROM match_tickets t
CROSS JOIN LATERAL (SELECT array_agg(p.player_id ORDER BY p.player_id) AS players, min(p.seen_at) AS seen_at
                    FROM match_ticket_players p WHERE p.ticket_id = t.ticket_id) AS on_it
WHERE t.ruleset = $1 AND t.match_id IS NULL AND on_it.seen_at > clock_timestamp() - make_interval(secs => $2)
ORDER BY t.queued_at, t.ticket_id LIMIT $3;

-- name: add_match
-- Add a match that was found.
INSERT INTO found_matches (match_id, ruleset, config, seats, region, state, accept_by)
VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp() + make_interval(secs => $7));

-- name: assign_tickets
-- Give tickets that still wait to a match.
UPDATE match_tickets SET match_id = $1 WHERE ticket_id = ANY ($2::uuid[]) AND match_id IS NULL RETURNING ticket_id;

-- name: release_tickets
-- Have the tickets of a match wait on.
UPDATE match_tickets SET match_id = NULL WHERE match_id = $1;

-- name: reset_accepted
-- Forget who of a match has accepted.
UPDATE match_ticket_players SET has_accepted = false
WHERE ticket_id IN (SELECT t.ticket_id FROM match_tickets t WHERE t.match_id = $1);

-- name: delete_match
-- Delete a match, with the tickets that it still has.
DELETE FROM found_matches WHERE match_id = $1;

-- name: note_wait
-- Note how long people waited.
UPDATE match_queues SET waited_s = $2 WHERE ruleset = $1;

-- name: lock_match_of
-- Find the match of a person, and hold it.
SELECT f.match_id, f.state, t.ticket_id FROM match_ticket_players p JOIN match_tickets t ON t.ticket_id = p.ticket_id
JOIN found_matches f ON f.match_id = t.match_id WHERE p.player_id = $1 FOR UPDATE OF f;

-- name: delete_waiting_ticket
-- Delete a person's ticket while it waits.
DELETE FROM match_tickets t USING match_ticket_players p
WHERE p.player_id = $1 AND t.ticket_id = p.ticket_id AND t.match_id IS NULL RETURNING t.ticket_id;

-- name: delete_ticket
-- Delete a ticket.
DELETE FROM match_tickets WHERE ticket_id = $1;

-- name: accept
-- Note that a person accepted.
UPDATE match_ticket_players SET has_accepted = true WHERE player_id = $1;

-- name: start_if_accepted
-- Have a match start, once everybody has accepted it.
UPDATE found_matches f SET state = 'starting' WHERE f.match_id = $1 AND f.state = 'offered' AND NOT EXISTS (
    SELECT FROM match_tickets t JOIN match_ticket_players p ON p.ticket_id = t.ticket_id
    WHERE t.match_id = f.match_id AND NOT p.has_accepted);

-- name: has_overdue
-- Say whether an offer was not accepted in time.
SELECT EXISTS (SELECT FROM found_matches WHERE state = 'offered' AND accept_by <= clock_timestamp());

-- name: overdue_offers
-- Hold some offers that were not accepted in time.
SELECT match_id FROM found_matches WHERE state = 'offered' AND accept_by <= clock_timestamp()
ORDER BY accept_by LIMIT $1 FOR UPDATE SKIP LOCKED;

-- name: delete_not_accepted
-- Delete the tickets of a match on which somebody has not accepted.
DELETE FROM match_tickets t WHERE t.match_id = $1 AND EXISTS (
    SELECT FROM match_ticket_players p WHERE p.ticket_id = t.ticket_id AND NOT p.has_accepted);

-- name: claim_matches
-- Claim some matches that are to start.
UPDATE found_matches SET claimed_until = clock_timestamp() + make_interval(secs => $1), attempts = attempts + 1
WHERE match_id IN (
    SELECT f.match_id FROM found_matches f WHERE f.state = 'starting' AND f.claimed_until <= clock_timestamp()
    ORDER BY f.claimed_until, f.found_at LIMIT $2 FOR UPDATE SKIP LOCKED)
RETURNING match_id, ruleset, config, seats, region, attempts;

-- name: note_started
-- Note that the game of a match runs.
UPDATE found_matches SET state = 'started', game_id = $2 WHERE match_id = $1;

-- name: clear_matches
-- Delete some matches that started, or could not start, so many seconds ago.
DELETE FROM found_matches WHERE match_id IN (
    SELECT f.match_id FROM found_matches f WHERE f.state <> 'offered'
      AND f.found_at < clock_timestamp() - make_interval(secs => $1)
    ORDER BY f.found_at LIMIT $2 FOR UPDATE SKIP LOCKED)
RETURNING match_id;

-- name: note_seen
-- Note that people have a connection.
UPDATE match_ticket_players SET seen_at = clock_timestamp() WHERE player_id IN (
    SELECT p.player_id FROM match_ticket_players p WHERE p.player_id = ANY ($1::uuid[])
    ORDER BY p.player_id FOR UPDATE);

-- name: delete_absent
-- Delete some waiting tickets on which somebody was not seen for so many seconds.
DELETE FROM match_tickets WHERE ticket_id IN (
    SELECT t.ticket_id FROM match_tickets t JOIN match_ticket_players p ON p.ticket_id = t.ticket_id
    WHERE t.match_id IS NULL AND p.seen_at < clock_timestamp() - make_interval(secs => $1)
    ORDER BY p.seen_at LIMIT $2 FOR UPDATE OF t SKIP LOCKED)
RETURNING ticket_id;

-- name: searches_of
-- Read how the searches of some people are going.
SELECT p.player_id, t.ruleset, extract(epoch FROM clock_timestamp() - t.queued_at)::float8 AS waited_s, q.waited_s AS usual_s,
       f.match_id, f.state, f.accept_by, f.game_id, f.seats, coalesce(n.accepted, 0) AS accepted,
       coalesce(n.players, 0) AS players
FROM match_ticket_players p
JOIN match_tickets t ON t.ticket_id = p.ticket_id JOIN match_queues q ON q.ruleset = t.ruleset
LEFT JOIN found_matches f ON f.match_id = t.match_id
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE o.has_accepted)::int AS accepted, count(*)::int AS players
    FROM match_tickets u JOIN match_ticket_players o ON o.ticket_id = u.ticket_id WHERE u.match_id = f.match_id) AS n ON true
WHERE p.player_id = ANY ($1::uuid[]);

-- name: party_members
-- List those who queued with others, up to a bound.
SELECT p.player_id FROM match_ticket_players p WHERE EXISTS (
    SELECT FROM match_ticket_players o WHERE o.ticket_id = p.ticket_id AND o.player_id <> p.player_id) LIMIT $1;

-- name: waiting_people
-- Count who waits, by ruleset, up to a bound of tickets.
SELECT w.ruleset, count(*) AS people FROM (
    SELECT t.ruleset, t.ticket_id FROM match_tickets t WHERE t.match_id IS NULL LIMIT $1) AS w
JOIN match_ticket_players p ON p.ticket_id = w.ticket_id GROUP BY w.ruleset;
