-- Tournaments go, with their entrants and pairings; the games that were played stay.

DROP TABLE tournament_pairings, tournament_entrants, tournaments;
