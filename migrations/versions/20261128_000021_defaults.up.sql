-- Other programs may insert rows with the specified columns alone. Where a column of ours has one
-- right value, it is filled in here. docs/reference/data.md lists the tables where it has none.

ALTER TABLE lobbies ALTER COLUMN seats SET DEFAULT 4;

CREATE FUNCTION give_bot_a_player() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    INSERT INTO public.players (display_name, avatar_seed, color, is_bot)
    VALUES (left(NEW.slug, 64), left(NEW.slug, 64), '#8a8f98', true)
    RETURNING id INTO NEW.player_id;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION give_bot_a_player() IS 'makes the player of a bot that was inserted without one';
CREATE TRIGGER bot_identities_player BEFORE INSERT ON bot_identities
    FOR EACH ROW WHEN (NEW.player_id IS NULL) EXECUTE FUNCTION give_bot_a_player();

-- The update locks the day's row, so that two writers never get the same number.
CREATE FUNCTION number_epoch_event() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    UPDATE public.epochs SET version = version + 1 WHERE id = NEW.epoch_id
    RETURNING version INTO NEW.version;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION number_epoch_event() IS 'gives an event that was inserted without a version its day''s next one';
CREATE TRIGGER epoch_events_numbered BEFORE INSERT ON epoch_events
    FOR EACH ROW WHEN (NEW.version IS NULL) EXECUTE FUNCTION number_epoch_event();

REVOKE ALL ON FUNCTION give_bot_a_player(), number_epoch_event() FROM PUBLIC;
