-- name: wallets
-- List somebody's own wallets, the first linked first.
SELECT address FROM wallets ORDER BY linked_at, address;

-- name: cast_vote
-- Write a vote, or change it; the database's own triggers weigh it and make it an event.
INSERT INTO epoch_votes (epoch_id, voter_address, voter_session_id, vote_target_type, vote_target_id, score)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (epoch_id, voter_address, vote_target_type, vote_target_id)
DO UPDATE SET score = EXCLUDED.score, voter_session_id = EXCLUDED.voter_session_id
RETURNING effective_weight;

-- name: version
-- Read the version of a day.
SELECT version FROM epochs WHERE id = $1;

-- name: is_bot
-- Say whether there is an active bot of this id.
SELECT EXISTS (SELECT FROM bot_identities WHERE id = $1 AND status = 'active');

-- name: may_vote
-- Say whether a bot's token may vote now.
SELECT EXISTS (
  SELECT FROM good_bot_tokens t
  WHERE t.token_id = $2 AND t.bot_identity_id = $1 AND 'vote' = ANY (t.scopes)
    AND (t.expires_at IS NULL OR t.expires_at > clock_timestamp()));
