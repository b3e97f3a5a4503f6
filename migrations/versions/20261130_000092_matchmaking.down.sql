-- Whoever waits has to queue again.

DROP TABLE match_ticket_players, match_tickets, found_matches, match_queues;
