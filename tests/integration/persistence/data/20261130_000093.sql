INSERT INTO series (after_game, ruleset, config, seats, best_of) SELECT id, 'relay', '{}', '[null]', 3 FROM games LIMIT 1;
