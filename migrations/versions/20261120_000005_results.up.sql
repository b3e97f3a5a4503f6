CREATE TABLE game_summaries (
    id                      uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    game_id                 uuid NOT NULL UNIQUE REFERENCES games (id),
    players                 jsonb NOT NULL,
    rounds                  jsonb NOT NULL,
    final_scores            jsonb NOT NULL,
    highest_bid             int,
    highest_score           int,
    lowest_score            int,
    most_consecutive_wins   int,
    most_consecutive_losses int,
    highest_misplay         int,
    created_at              timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE game_summaries IS 'how a game ended, for score boards and history; written with its last events';
COMMENT ON COLUMN game_summaries.players IS '[{playerId, displayName, seatIndex, score}]';
COMMENT ON COLUMN game_summaries.rounds IS 'what each round came to';
COMMENT ON COLUMN game_summaries.final_scores IS '{playerId: score}';

CREATE TRIGGER game_summaries_kept BEFORE DELETE ON game_summaries
    FOR EACH ROW EXECUTE FUNCTION refuse_change('summaries are kept for ever');
CREATE TRIGGER game_summaries_kept_whole BEFORE TRUNCATE ON game_summaries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('summaries are kept for ever');
ALTER TABLE game_summaries ENABLE ALWAYS TRIGGER game_summaries_kept;
ALTER TABLE game_summaries ENABLE ALWAYS TRIGGER game_summaries_kept_whole;

CREATE FUNCTION require_summary() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM public.game_summaries WHERE game_id = NEW.id) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'integrity_constraint_violation',
            MESSAGE = format('game %s is completed but has no summary', NEW.id);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION require_summary() IS 'at commit, a completed game has its summary';

CREATE CONSTRAINT TRIGGER games_completed_has_summary
    AFTER INSERT OR UPDATE OF completed_at ON games
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.completed_at IS NOT NULL) EXECUTE FUNCTION require_summary();

CREATE TABLE player_lifetime_stats (
    id                      uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    player_id               uuid NOT NULL UNIQUE REFERENCES players (id) ON DELETE CASCADE,
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
    last_game_at            timestamptz
);
CREATE INDEX pls_last_game_idx ON player_lifetime_stats (last_game_at);
CREATE INDEX pls_games_won_idx ON player_lifetime_stats (games_won DESC, player_id);
CREATE INDEX pls_highest_score_idx ON player_lifetime_stats (highest_score DESC, player_id);
CREATE INDEX pls_total_tricks_won_idx ON player_lifetime_stats (total_tricks_won DESC, player_id);
CREATE INDEX pls_win_rate_idx
    ON player_lifetime_stats ((games_won::float8 / games_played) DESC, player_id)
    WHERE games_played > 0;
COMMENT ON TABLE player_lifetime_stats IS 'a player''s record over all games; changed only as a game completes';
COMMENT ON COLUMN player_lifetime_stats.current_win_streak IS 'wins since the last loss; what the longest is compared with';
COMMENT ON COLUMN player_lifetime_stats.current_loss_streak IS 'losses since the last win';

CREATE TABLE matches (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    game_id    uuid UNIQUE REFERENCES games (id),
    lobby_id   uuid REFERENCES lobbies (id),
    mode       text NOT NULL DEFAULT 'server' CHECK (mode IN ('server', 'peer')),
    ruleset    text,
    started_at timestamptz,
    ended_at   timestamptz,
    winner_id  uuid REFERENCES players (id),
    replay_url text,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX matches_lobby_id_idx ON matches (lobby_id);
CREATE INDEX matches_winner_id_idx ON matches (winner_id);
COMMENT ON TABLE matches IS 'history: one row a finished session, on the server or between peers';
COMMENT ON COLUMN matches.game_id IS 'the game it was; null for a match between peers';
COMMENT ON COLUMN matches.winner_id IS 'the winning player; null for a draw or several winners';
COMMENT ON COLUMN matches.replay_url IS 'where the full replay file is stored';

CREATE TABLE match_players (
    match_id  uuid NOT NULL REFERENCES matches (id) ON DELETE CASCADE,
    player_id uuid NOT NULL REFERENCES players (id),
    seat      smallint,
    score     int,
    is_winner boolean NOT NULL DEFAULT false,
    ended_at  timestamptz NOT NULL,
    PRIMARY KEY (match_id, player_id)
);
CREATE INDEX match_players_history_idx ON match_players (player_id, ended_at DESC, match_id);
COMMENT ON TABLE match_players IS 'who played in a match, and how it went for them';
COMMENT ON COLUMN match_players.ended_at IS 'the match''s own, repeated so that one index serves a player''s history';

REVOKE ALL ON game_summaries, player_lifetime_stats, matches, match_players
    FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT, INSERT ON game_summaries TO playhall_server;
GRANT SELECT, INSERT, UPDATE ON player_lifetime_stats, matches, match_players TO playhall_server;
