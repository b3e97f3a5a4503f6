-- ------------------------------------------------------------------ what counts

-- Scores that a client declared, and games that had nobody to win against, are in the history
-- and count for nothing else.
ALTER TABLE matches ADD COLUMN uncounted text CHECK (uncounted IN ('declared', 'solo'));
COMMENT ON COLUMN matches.uncounted IS
    'why it brings no XP and enters no statistics: a client declared the scores, or one player played alone; null if it counts';

ALTER TABLE match_players ADD COLUMN forfeited boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN match_players.forfeited IS
    'left before the end: a game played and not won, that brings no points, tricks or XP';

UPDATE matches m
SET uncounted = CASE WHEN m.mode = 'peer' OR m.ruleset = 'relay' THEN 'declared' ELSE 'solo' END
WHERE m.mode = 'peer' OR m.ruleset = 'relay'
   OR (SELECT count(*) FROM match_players mp WHERE mp.match_id = m.id) = 1;

-- XP is the sum of what matches brought, so what these brought is taken back in both places.
UPDATE profiles f SET xp_total = greatest(f.xp_total - undue.xp, 0)
FROM (
    SELECT p.user_id, sum(mp.xp) AS xp
    FROM match_players mp
    JOIN matches m ON m.id = mp.match_id
    JOIN players p ON p.id = mp.player_id
    WHERE m.uncounted IS NOT NULL AND mp.xp > 0 AND p.user_id IS NOT NULL
    GROUP BY p.user_id
) undue
WHERE f.id = undue.user_id::uuid;
UPDATE match_players mp SET xp = 0
FROM matches m WHERE m.id = mp.match_id AND m.uncounted IS NOT NULL AND mp.xp > 0;

-- ------------------------------------------------------------------ one row a ruleset

CREATE TABLE player_ruleset_stats (
    player_id               uuid NOT NULL REFERENCES players (id) ON DELETE CASCADE,
    ruleset                 text NOT NULL,
    games_played            int NOT NULL DEFAULT 0,
    games_won               int NOT NULL DEFAULT 0,
    highest_score           int,
    lowest_score            int,
    total_points            int NOT NULL DEFAULT 0,
    total_tricks_won        int NOT NULL DEFAULT 0,
    most_consecutive_wins   int NOT NULL DEFAULT 0,
    most_consecutive_losses int NOT NULL DEFAULT 0,
    current_win_streak      int NOT NULL DEFAULT 0,
    current_loss_streak     int NOT NULL DEFAULT 0,
    last_game_at            timestamptz,
    PRIMARY KEY (player_id, ruleset)
);
CREATE INDEX prs_games_won_idx ON player_ruleset_stats (ruleset, games_won DESC, player_id);
CREATE INDEX prs_highest_score_idx ON player_ruleset_stats (ruleset, highest_score DESC, player_id);
CREATE INDEX prs_total_tricks_won_idx
    ON player_ruleset_stats (ruleset, total_tricks_won DESC, player_id);
CREATE INDEX prs_win_rate_idx
    ON player_ruleset_stats (ruleset, (games_won::float8 / games_played) DESC, player_id)
    WHERE games_played > 0;
COMMENT ON TABLE player_ruleset_stats IS
    'a player''s record in one ruleset; written with player_lifetime_stats, whose row is locked first';

SELECT playhall_auth.secure('player_ruleset_stats');
GRANT SELECT, INSERT, UPDATE ON player_ruleset_stats TO playhall_server;
CREATE POLICY readable ON player_ruleset_stats FOR SELECT TO anon, authenticated USING (true);
GRANT SELECT ON player_ruleset_stats TO anon, authenticated;

-- ------------------------------------------------------------------ counting what was played

-- One row for each game that counts and each player in it. A ruleset of null stands for all
-- games together, which is counted again only for players in a match that counts no longer.
CREATE TEMPORARY TABLE counted ON COMMIT DROP AS
SELECT mp.player_id, g.ruleset, m.seq, mp.score,
       coalesce((s.players -> mp.seat::int ->> 'tricks_won')::int, 0) AS tricks,
       mp.is_winner AS won, mp.ended_at
FROM match_players mp
JOIN matches m ON m.id = mp.match_id
JOIN games g ON g.id = m.game_id
JOIN players p ON p.id = mp.player_id AND p.erased_at IS NULL
LEFT JOIN game_summaries s ON s.game_id = m.game_id
WHERE m.uncounted IS NULL;

CREATE TEMPORARY TABLE affected ON COMMIT DROP AS
SELECT DISTINCT mp.player_id FROM match_players mp JOIN matches m ON m.id = mp.match_id
WHERE m.uncounted IS NOT NULL AND m.game_id IS NOT NULL;

INSERT INTO counted
SELECT c.player_id, NULL, c.seq, c.score, c.tricks, c.won, c.ended_at
FROM counted c JOIN affected a ON a.player_id = c.player_id;

-- Games in a row with the same result have the same difference between their place among all
-- games and their place among those with that result.
CREATE TEMPORARY TABLE tallies ON COMMIT DROP AS
WITH numbered AS (
    SELECT c.*, row_number() OVER (PARTITION BY player_id, ruleset ORDER BY seq)
              - row_number() OVER (PARTITION BY player_id, ruleset, won ORDER BY seq) AS run
    FROM counted c
), runs AS (
    SELECT player_id, ruleset, won, count(*)::int AS length, max(seq) AS last
    FROM numbered GROUP BY player_id, ruleset, won, run
), streaks AS (
    SELECT player_id, ruleset,
           coalesce(max(length) FILTER (WHERE won), 0) AS most_wins,
           coalesce(max(length) FILTER (WHERE NOT won), 0) AS most_losses,
           (array_agg(length * won::int ORDER BY last DESC))[1] AS wins,
           (array_agg(length * (NOT won)::int ORDER BY last DESC))[1] AS losses
    FROM runs GROUP BY player_id, ruleset
), totals AS (
    SELECT player_id, ruleset, count(*)::int AS played, count(*) FILTER (WHERE won)::int AS won,
           max(score) AS highest, min(score) AS lowest, coalesce(sum(score), 0)::int AS points,
           sum(tricks)::int AS tricks, (array_agg(ended_at ORDER BY seq DESC))[1] AS last_at
    FROM counted GROUP BY player_id, ruleset
)
SELECT t.*, s.most_wins, s.most_losses, s.wins, s.losses
FROM totals t JOIN streaks s
    ON s.player_id = t.player_id AND s.ruleset IS NOT DISTINCT FROM t.ruleset;

INSERT INTO player_ruleset_stats
SELECT player_id, ruleset, played, won, highest, lowest, points, tricks, most_wins, most_losses,
       wins, losses, last_at
FROM tallies WHERE ruleset IS NOT NULL;

UPDATE player_lifetime_stats s SET
    games_played = coalesce(t.played, 0), games_won = coalesce(t.won, 0),
    highest_score = t.highest, lowest_score = t.lowest,
    total_points = coalesce(t.points, 0), total_tricks_won = coalesce(t.tricks, 0),
    most_consecutive_wins = coalesce(t.most_wins, 0),
    most_consecutive_losses = coalesce(t.most_losses, 0),
    current_win_streak = coalesce(t.wins, 0), current_loss_streak = coalesce(t.losses, 0),
    last_game_at = t.last_at
FROM affected a LEFT JOIN tallies t ON t.player_id = a.player_id AND t.ruleset IS NULL
WHERE s.player_id = a.player_id;

DROP TABLE counted, affected, tallies;
