INSERT INTO matches (mode, started_at, ended_at) VALUES ('peer', now(), now()), ('peer', now(), now());
