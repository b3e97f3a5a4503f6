-- ------------------------------------------------------------------ one clock for all nodes

CREATE TABLE epoch_clock (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    real_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    epoch_at  timestamptz NOT NULL,
    speed     double precision NOT NULL DEFAULT 1 CHECK (speed > 0 AND speed <= 100000),
    follows_setting boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE epoch_clock IS 'what time it is for epochs, where that is not the real time';
COMMENT ON COLUMN epoch_clock.epoch_at IS 'what the time of epochs was at real_at';
COMMENT ON COLUMN epoch_clock.speed IS 'seconds of epochs in a real second';
COMMENT ON COLUMN epoch_clock.follows_setting IS 'while a day is imported: true in that transaction alone, never committed; the time is in playhall.epoch_at';

-- A setting is as quick at its thousandth change as at its first; a row is not, since its old
-- versions stay until the transaction ends. Only who may write epoch_clock can make it count.
CREATE FUNCTION epoch_now() RETURNS timestamptz LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = ''
BEGIN ATOMIC
    SELECT coalesce(
        (SELECT CASE WHEN c.follows_setting THEN current_setting('playhall.epoch_at')::timestamptz
                ELSE c.epoch_at + (clock_timestamp() - c.real_at) * c.speed END
         FROM public.epoch_clock c),
        clock_timestamp());
END;
COMMENT ON FUNCTION epoch_now() IS 'the time of epochs: the database''s, or as epoch_clock has it';
REVOKE ALL ON FUNCTION epoch_now() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION epoch_now() TO anon, authenticated, playhall_server, service_role;

SELECT playhall_auth.secure('epoch_clock');
GRANT SELECT, INSERT, UPDATE, DELETE ON epoch_clock TO playhall_server;

-- ------------------------------------------------------------------ what bots may do now

CREATE VIEW good_bot_tokens WITH (security_invoker = true) AS
SELECT t.id AS token_id, t.bot_identity_id, t.scopes, t.expires_at
FROM bot_tokens t
JOIN bot_identities b ON b.id = t.bot_identity_id
JOIN v_current_bot_identity_owner o
  ON o.bot_identity_id = b.id AND o.owner_address = t.created_by_address
JOIN wallets w ON w.address = o.owner_address
WHERE t.revoked_at IS NULL AND b.status = 'active' AND NOT EXISTS (
    SELECT FROM account_bans a WHERE a.user_id = w.user_id
        AND (a.ends_at IS NULL OR a.ends_at > clock_timestamp()));
COMMENT ON VIEW good_bot_tokens IS 'tokens that are good, as far as anything but their own time ends them';
REVOKE ALL ON good_bot_tokens FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT ON good_bot_tokens TO playhall_server, service_role;

-- ------------------------------------------------------------------ votes

CREATE INDEX epoch_votes_voter_idx ON epoch_votes (voter_address, epoch_id);

-- Whoever writes a vote, and by whatever program: it is taken while the day is live, in the range
-- and with the pause that the day's profile says, for a bot that there is (or its day could not be
-- settled), and weighs what the profile says. Days before this one make a voter known; the time
-- that lets a vote in is the time that it has. `PHxxx` are read by persistence/ballots.py.
CREATE FUNCTION playhall_auth.take_vote() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' AS $$
DECLARE
    day public.epochs;
    rules jsonb;
    target jsonb;
    moment timestamptz;
    days_before int;
    voted_at timestamptz;
    pause interval;
BEGIN
    SELECT * INTO day FROM public.epochs e WHERE e.id = NEW.epoch_id FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NEW;  -- for the policies and the foreign key to refuse
    END IF;
    moment := public.epoch_now();
    IF day.phase IS DISTINCT FROM 'live' OR moment >= day.freeze_at THEN
        RAISE EXCEPTION 'votes are taken while the day is live' USING ERRCODE = 'PH001';
    END IF;
    SELECT p.config -> 'governance', make_interval(secs => coalesce((p.config #>> '{cooldowns,vote_s}')::int, 1))
    INTO rules, pause FROM public.epoch_profiles p WHERE p.id = day.profile_id;
    SELECT t INTO target FROM jsonb_array_elements(rules -> 'targets') t
    WHERE t ->> 'type' = NEW.vote_target_type;
    IF NOT (rules ->> CASE WHEN NEW.voter_address LIKE 'bot:%' THEN 'bot_voting' ELSE 'human_voting' END)::boolean THEN
        RAISE EXCEPTION 'the profile of the day does not take votes of these' USING ERRCODE = 'PH003';
    END IF;
    IF target IS NULL OR NEW.score NOT BETWEEN (target ->> 'score_min')::numeric
                                           AND (target ->> 'score_max')::numeric
        OR coalesce(target -> 'options', '[]') <> '[]' AND NOT (target -> 'options') ? NEW.vote_target_id THEN
        RAISE EXCEPTION 'the profile of the day does not take this score' USING ERRCODE = 'PH002';
    END IF;
    IF NEW.vote_target_type = 'bot' THEN
        IF NEW.vote_target_id !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN
            RAISE EXCEPTION 'bots are voted on by their ids' USING ERRCODE = 'PH004';
        END IF;
        IF NOT EXISTS (SELECT FROM public.bot_identities b WHERE b.id = NEW.vote_target_id::uuid) THEN
            RAISE EXCEPTION 'there is no such bot' USING ERRCODE = 'PH004';
        END IF;
    END IF;
    SELECT max(v.updated_at) INTO voted_at FROM public.epoch_votes v
    WHERE v.voter_address = NEW.voter_address AND v.epoch_id = NEW.epoch_id;
    IF moment >= voted_at AND moment < voted_at + pause
        AND NOT EXISTS (SELECT FROM public.epoch_clock c WHERE c.follows_setting) THEN
        RAISE EXCEPTION 'too early for another vote' USING ERRCODE = 'PH005',
            DETAIL = extract(epoch FROM voted_at + pause - moment);
    END IF;
    SELECT count(DISTINCT v.epoch_id) INTO days_before
    FROM public.epoch_votes v JOIN public.epochs e ON e.id = v.epoch_id
    WHERE v.voter_address = NEW.voter_address AND e.starts_at < day.starts_at;
    NEW.effective_weight := NEW.raw_weight * CASE
        WHEN days_before >= (rules #>> '{anti_abuse,known_after}')::int THEN 1
        ELSE (rules #>> '{anti_abuse,newcomer_weight}')::numeric END;
    NEW.updated_at := moment;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION playhall_auth.take_vote() IS 'refuses votes out of time or range, and weighs the others';

-- Every cast is an event of the day. Who voted is in the column that is not for everybody; the
-- ballot's id tells one voter's votes from another's.
CREATE FUNCTION playhall_auth.tell_vote() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' AS $$
DECLARE
    next_version bigint;
BEGIN
    UPDATE public.epochs e SET version = e.version + 1 WHERE e.id = NEW.epoch_id
    RETURNING e.version INTO next_version;
    INSERT INTO public.epoch_events
        (epoch_id, version, event_type, occurred_at, actor_wallet_address, payload)
    VALUES (NEW.epoch_id, next_version, 'vote_cast', NEW.updated_at, NEW.voter_address,
        jsonb_build_object('ballot', NEW.id, 'target_type', NEW.vote_target_type,
            'target_id', NEW.vote_target_id, 'score', NEW.score::text,
            'weight', NEW.effective_weight::text));
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION playhall_auth.tell_vote() IS 'makes every cast an event of the day';
REVOKE ALL ON FUNCTION playhall_auth.take_vote(), playhall_auth.tell_vote() FROM PUBLIC;

CREATE TRIGGER epoch_votes_taken BEFORE INSERT OR UPDATE ON epoch_votes
    FOR EACH ROW EXECUTE FUNCTION playhall_auth.take_vote();
CREATE TRIGGER epoch_votes_told AFTER INSERT OR UPDATE ON epoch_votes
    FOR EACH ROW EXECUTE FUNCTION playhall_auth.tell_vote();

-- ------------------------------------------------------------------ the first profile

INSERT INTO epoch_profiles (profile_key, version, is_active, config) VALUES ('daily-v1', 1, true, '{
  "cadence": {"timezone": "UTC", "duration_hours": 24, "freeze_minutes": 10, "prep_minutes": 60},
  "slots": {"count": 8, "map": [
    {"type": "drums", "label": "Kick and snare", "constraints_id": "drums"},
    {"type": "drums", "label": "Hats", "constraints_id": "drums"},
    {"type": "bass", "label": "Bass", "constraints_id": "notes"},
    {"type": "chords", "label": "Chords", "constraints_id": "chords"},
    {"type": "lead", "label": "Lead", "constraints_id": "notes"},
    {"type": "lead", "label": "Counterpoint", "constraints_id": "notes"},
    {"type": "texture", "label": "Texture", "constraints_id": "text"},
    {"type": "wildcard", "label": "Wildcard", "constraints_id": "text"}]},
  "world": {"layout_id": "stage-8"},
  "governance": {
    "bot_voting": false, "human_voting": true,
    "targets": [
      {"type": "bot", "score_min": "-1", "score_max": "1"},
      {"type": "tempo", "score_min": "0", "score_max": "1", "options": ["90", "110", "124", "140", "172"]},
      {"type": "key", "score_min": "0", "score_max": "1", "options": ["C", "D", "E", "F", "G", "A", "B"]},
      {"type": "world_theme", "score_min": "0", "score_max": "1", "options": ["dawn", "noon", "dusk", "night"]}],
    "anti_abuse": {"newcomer_weight": "0.25", "known_after": 2}},
  "cooldowns": {"bot_s": 30, "slot_s": 10, "vote_s": 1},
  "settlement": {
    "weights": {"time": "1", "claim": "60", "defense": "0.5", "vote": "3600"},
    "minimum_hold_s": 5, "rapid_s": 300, "rapid_factor": "0.5",
    "payout": {"pool_wei": 0},
    "mint": {"chain_id": null, "contract_address": null}}
}') ON CONFLICT DO NOTHING;
