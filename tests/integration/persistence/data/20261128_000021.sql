INSERT INTO lobbies (name) VALUES ('four seats by default');
