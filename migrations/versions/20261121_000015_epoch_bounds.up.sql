-- ------------------------------------------------------------------ scores

-- Weights go up to a million: 64 slots for a day have more than the ten digits that it had.
ALTER TABLE epoch_contributions ALTER COLUMN raw_score TYPE numeric(38, 8);

-- ------------------------------------------------------------------ the clock

ALTER TABLE epoch_clock ADD COLUMN follows_setting boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN epoch_clock.follows_setting IS 'while a day is imported: true in that transaction alone, never committed; the time is in playhall.epoch_at';

-- A setting is as quick at its thousandth change as at its first; a row is not, since its old
-- versions stay until the transaction ends. Only who may write epoch_clock can make it count.
CREATE OR REPLACE FUNCTION epoch_now() RETURNS timestamptz LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = ''
BEGIN ATOMIC
    SELECT coalesce(
        (SELECT CASE WHEN c.follows_setting THEN current_setting('playhall.epoch_at')::timestamptz
                ELSE c.epoch_at + (clock_timestamp() - c.real_at) * c.speed END
         FROM public.epoch_clock c),
        clock_timestamp());
END;

-- ------------------------------------------------------------------ votes

-- As before, and: a bot that is voted on is one that there is, or its day could not be settled;
-- only days before this one make a voter known; and the time that lets a vote in is the time
-- that it has.
CREATE OR REPLACE FUNCTION playhall_auth.take_vote() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' AS $$
DECLARE
    day public.epochs;
    rules jsonb;
    target jsonb;
    moment timestamptz;
    days_before int;
BEGIN
    SELECT * INTO day FROM public.epochs e WHERE e.id = NEW.epoch_id FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NEW;  -- for the policies and the foreign key to refuse
    END IF;
    moment := public.epoch_now();
    IF day.phase IS DISTINCT FROM 'live' OR moment >= day.freeze_at THEN
        RAISE EXCEPTION 'votes are taken while the day is live' USING ERRCODE = 'PH001';
    END IF;
    SELECT p.config -> 'governance' INTO rules FROM public.epoch_profiles p WHERE p.id = day.profile_id;
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

-- ------------------------------------------------------------------ phases

-- Where a day was frozen is asked for with all its events.
CREATE INDEX epoch_events_phases_idx ON epoch_events (epoch_id, version)
    WHERE event_type = 'phase_changed';
