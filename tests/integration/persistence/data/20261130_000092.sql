INSERT INTO match_queues (ruleset) VALUES ('relay');
INSERT INTO found_matches (match_id, ruleset, config, seats, state)
VALUES ('00000000-0000-4000-8000-000000000921', 'relay', '{}', '[null]', 'starting');
INSERT INTO match_tickets (ticket_id, ruleset, seats, config, rating, with_bots)
VALUES ('00000000-0000-4000-8000-000000000922', 'relay', 2, '{}', 1500, true);
INSERT INTO match_ticket_players (player_id, ticket_id)
SELECT id, '00000000-0000-4000-8000-000000000922' FROM players LIMIT 1;
