DROP INDEX epoch_events_phases_idx;
CREATE OR REPLACE FUNCTION playhall_auth.take_vote() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' AS $$
DECLARE
    day public.epochs;
    rules jsonb;
    target jsonb;
    days_before int;
BEGIN
    SELECT * INTO day FROM public.epochs e WHERE e.id = NEW.epoch_id FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NEW;  -- for the policies and the foreign key to refuse
    END IF;
    IF day.phase IS DISTINCT FROM 'live' OR public.epoch_now() >= day.freeze_at THEN
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
    SELECT count(DISTINCT v.epoch_id) INTO days_before FROM public.epoch_votes v
    WHERE v.voter_address = NEW.voter_address AND v.epoch_id <> NEW.epoch_id;
    NEW.effective_weight := NEW.raw_weight * CASE
        WHEN days_before >= (rules #>> '{anti_abuse,known_after}')::int THEN 1
        ELSE (rules #>> '{anti_abuse,newcomer_weight}')::numeric END;
    NEW.updated_at := public.epoch_now();
    RETURN NEW;
END
$$;

CREATE OR REPLACE FUNCTION epoch_now() RETURNS timestamptz LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = ''
BEGIN ATOMIC
    SELECT coalesce(
        (SELECT c.epoch_at + (clock_timestamp() - c.real_at) * c.speed FROM public.epoch_clock c),
        clock_timestamp());
END;
ALTER TABLE epoch_clock DROP COLUMN follows_setting;
-- What has more digits stays whole in epoch_settlements.
ALTER TABLE epoch_contributions ALTER COLUMN raw_score TYPE numeric(18, 8)
    USING least(raw_score, 9999999999.99999999);
