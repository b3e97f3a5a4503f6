-- A profile that days were played by stays with them.
DELETE FROM epoch_profiles p WHERE profile_key = 'daily-v1'
    AND NOT EXISTS (SELECT FROM epochs e WHERE e.profile_id = p.id);
DROP TRIGGER epoch_votes_told ON epoch_votes;
DROP TRIGGER epoch_votes_taken ON epoch_votes;
DROP FUNCTION playhall_auth.tell_vote(), playhall_auth.take_vote();
DROP INDEX epoch_votes_voter_idx;
DROP VIEW good_bot_tokens;
DROP FUNCTION epoch_now();
DROP TABLE epoch_clock;
