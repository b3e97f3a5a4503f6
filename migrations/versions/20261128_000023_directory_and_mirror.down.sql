DROP TRIGGER epoch_votes_taken_here ON epoch_votes;
DROP FUNCTION playhall_auth.refuse_vote_beside_mirror();
DROP TABLE epoch_mirrors;
DROP FUNCTION is_game_running(uuid);
REVOKE SELECT (join_code) ON room_directory FROM anon, authenticated;
DROP INDEX room_directory_newest_idx;
COMMENT ON COLUMN room_directory.current_players IS NULL;
ALTER TABLE room_directory DROP COLUMN can_watch;
