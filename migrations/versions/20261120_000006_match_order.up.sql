-- Streaks depend on the order in which a player's games were counted, and no time tells it:
-- clocks differ between nodes, and two games can end within one millisecond. A completion
-- draws this number while it holds the statistics of all its players, so for any two games
-- that share a player the numbers are in the order in which the two were counted.
ALTER TABLE matches ADD COLUMN seq bigint;

UPDATE matches m SET seq = o.seq
FROM (SELECT id, row_number() OVER (ORDER BY ended_at, created_at, id) AS seq FROM matches) o
WHERE o.id = m.id;

ALTER TABLE matches ALTER COLUMN seq SET NOT NULL;
ALTER TABLE matches ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY;
SELECT setval(pg_get_serial_sequence('matches', 'seq'), coalesce(max(seq), 0) + 1, false) FROM matches;

CREATE UNIQUE INDEX matches_seq_idx ON matches (seq);
COMMENT ON COLUMN matches.seq IS 'grows with every match: the order in which they entered the statistics';
