-- People: deactivated accounts, discovery, and what is known of subscriptions.

-- ------------------------------------------------------------------ deactivated accounts

ALTER TABLE profiles
    ADD COLUMN deactivated_at timestamptz,
    ADD COLUMN deactivated_by text CHECK (deactivated_by IN ('self', 'staff'));
UPDATE profiles SET deactivated_at = clock_timestamp(), deactivated_by = 'staff' WHERE NOT is_active;
ALTER TABLE profiles ADD CONSTRAINT profiles_deactivation_is_known
    CHECK (is_active = (deactivated_at IS NULL) AND is_active = (deactivated_by IS NULL));
CREATE INDEX profiles_deactivated_at_idx ON profiles (deactivated_at) WHERE NOT is_active;
COMMENT ON COLUMN profiles.deactivated_at IS 'since when the account is not active';
COMMENT ON COLUMN profiles.deactivated_by IS 'self: its owner may sign in and reactivate it; staff: an admin alone';

-- Whoever writes `is_active` alone is staff, or a program of theirs: the safe reading of the two.
CREATE FUNCTION deactivation_stamped() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    IF NEW.is_active THEN
        NEW.deactivated_at := NULL;
        NEW.deactivated_by := NULL;
    ELSE
        NEW.deactivated_at := coalesce(NEW.deactivated_at, pg_catalog.clock_timestamp());
        NEW.deactivated_by := coalesce(NEW.deactivated_by, 'staff');
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION deactivation_stamped() IS 'notes since when an account is not active, and whose decision that is';
REVOKE ALL ON FUNCTION deactivation_stamped() FROM PUBLIC;
CREATE TRIGGER profiles_deactivation_stamped
    BEFORE INSERT OR UPDATE OF is_active, deactivated_at, deactivated_by ON profiles
    FOR EACH ROW EXECUTE FUNCTION deactivation_stamped();

CREATE OR REPLACE VIEW good_bot_tokens WITH (security_invoker = true) AS
SELECT t.id AS token_id, t.bot_identity_id, t.scopes, t.expires_at
FROM bot_tokens t
JOIN bot_identities b ON b.id = t.bot_identity_id
JOIN v_current_bot_identity_owner o
  ON o.bot_identity_id = b.id AND o.owner_address = t.created_by_address
JOIN wallets w ON w.address = o.owner_address
WHERE t.revoked_at IS NULL AND b.status = 'active' AND NOT EXISTS (
    SELECT FROM account_bans a WHERE a.user_id = w.user_id
        AND (a.ends_at IS NULL OR a.ends_at > clock_timestamp()))
    AND NOT EXISTS (SELECT FROM profiles f WHERE f.id = w.user_id AND NOT f.is_active);

-- ------------------------------------------------------------------ discovery

-- Stored, since a search compares it with thousands of rows, and removing accents takes 25 µs.
ALTER TABLE profiles ADD COLUMN search_names text
    GENERATED ALWAYS AS (fold_text(coalesce(display_name, '') || ' ' || coalesce(username, ''))) STORED;
COMMENT ON COLUMN profiles.search_names IS 'the names as search compares them: lower case, without accents';

CREATE INDEX profiles_popular_idx ON profiles (follower_count DESC, id DESC)
    WHERE is_active AND merged_into IS NULL AND username IS NOT NULL;
CREATE INDEX profiles_newest_idx ON profiles (created_at DESC, id DESC)
    WHERE is_active AND merged_into IS NULL AND username IS NOT NULL;

-- Names that are nearly the query, where trigrams are available; else none.
DO $$
DECLARE
    place text := (SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
        WHERE e.extname = 'pg_trgm');
BEGIN
    IF place IS NULL THEN
        EXECUTE $f$
            CREATE FUNCTION similar_people(folded text, found_max int) RETURNS SETOF uuid LANGUAGE sql STABLE
            SECURITY DEFINER SET search_path = '' BEGIN ATOMIC
                SELECT NULL::uuid WHERE folded IS NULL AND found_max IS NULL;
            END $f$;
    ELSE
        EXECUTE format('CREATE INDEX profiles_names_trgm_idx ON profiles
            USING gin (search_names %I.gin_trgm_ops)
            WHERE is_active AND merged_into IS NULL AND username IS NOT NULL', place);
        -- The threshold holds until the transaction ends; nothing else uses it.
        EXECUTE format($f$
            CREATE FUNCTION similar_people(folded text, found_max int) RETURNS SETOF uuid LANGUAGE plpgsql VOLATILE
            SECURITY DEFINER SET search_path = '' AS $b$
            BEGIN
                PERFORM set_config('pg_trgm.word_similarity_threshold', '0.4', true);
                RETURN QUERY SELECT n.id FROM (
                    SELECT p.id, p.search_names, p.follower_count
                    FROM public.profiles p
                    WHERE folded OPERATOR(%1$I.<%%) p.search_names
                        AND p.is_active AND p.merged_into IS NULL AND p.username IS NOT NULL
                    LIMIT 1000) n
                ORDER BY folded OPERATOR(%1$I.<<->) n.search_names, n.follower_count DESC, n.id LIMIT found_max;
            END $b$ $f$, place);
    END IF;
END
$$;
COMMENT ON FUNCTION similar_people(text, int) IS 'people whose names nearly contain a text, best first';
REVOKE ALL ON FUNCTION similar_people(text, int) FROM PUBLIC;

CREATE TYPE person_card AS (
    user_id uuid, username text, display_name text, avatar_url text, bio text, arcanean_id text, tier text,
    is_verified boolean, creation_count int, follower_count int, following_count int, created_at timestamptz,
    is_similar boolean);
COMMENT ON TYPE person_card IS 'a person on a list; is_similar: the names are only nearly what was looked for';

CREATE FUNCTION list_people(
    p_query text DEFAULT NULL, p_sort text DEFAULT 'followers', p_limit int DEFAULT 20,
    p_below bigint DEFAULT NULL, p_before timestamptz DEFAULT NULL, p_before_id uuid DEFAULT NULL
) RETURNS SETOF person_card LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    viewer CONSTANT uuid := auth.uid();
    folded CONSTANT text := btrim(public.fold_text(left(regexp_replace(p_query, '\s+', ' ', 'g'), 100)));
    row_limit CONSTANT int := least(greatest(p_limit, 1), 100);
    is_newest CONSTANT boolean := p_sort = 'newest';
    pattern CONSTANT text := '%' || public.escape_like(folded) || '%';
    place CONSTANT text := CASE WHEN is_newest THEN '(p.created_at, p.id) < ($2, $4)'
        ELSE '(p.follower_count, p.id) < ($3, $4)' END;
    sorting CONSTANT text := CASE WHEN is_newest THEN 'p.created_at DESC, p.id DESC'
        ELSE 'p.follower_count DESC, p.id DESC' END;
    listed CONSTANT text := 'p.is_active AND p.merged_into IS NULL AND p.username IS NOT NULL';
    matches CONSTANT text := CASE WHEN folded IS NULL THEN 'true'
        ELSE 'p.search_names LIKE $5' END;
    unblocked CONSTANT text := CASE WHEN viewer IS NULL THEN 'true' ELSE
        'NOT EXISTS (SELECT FROM public.blocks b WHERE b.blocker_id = $6 AND b.blocked_id = p.id)
         AND NOT EXISTS (SELECT FROM public.blocks b WHERE b.blocker_id = p.id AND b.blocked_id = $6)' END;
    before CONSTANT timestamptz := coalesce(p_before, 'infinity');
    below CONSTANT bigint := coalesce(p_below, 9223372036854775807);
    before_id CONSTANT uuid := coalesce(p_before_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
    is_similar boolean := false;
    ids uuid[];
BEGIN
    IF folded = '' THEN
        RETURN;
    END IF;
    -- Common names are found among the first. For others the index on names finds few rows, but the
    -- planner does not know how rare a name is, and would read everything in order.
    EXECUTE 'SELECT ARRAY(SELECT p.id FROM (SELECT p.* FROM public.profiles p WHERE ' || listed || ' AND ' || place
        || ' ORDER BY ' || sorting || CASE WHEN folded IS NULL THEN '' ELSE ' LIMIT 2000' END || ') p WHERE '
        || matches || ' AND ' || unblocked || ' ORDER BY ' || sorting || ' LIMIT $1)'
    INTO ids USING row_limit, before, below, before_id, pattern, viewer;
    IF cardinality(ids) < row_limit AND char_length(folded) >= 3 THEN
        EXECUTE 'WITH hit AS MATERIALIZED (SELECT p.* FROM public.profiles p WHERE ' || listed || ' AND ' || matches
            || ') SELECT ARRAY(SELECT p.id FROM hit p WHERE ' || place || ' AND ' || unblocked
            || ' ORDER BY ' || sorting || ' LIMIT $1)'
        INTO ids USING row_limit, before, below, before_id, pattern, viewer;
        IF ids = '{}' AND p_before_id IS NULL THEN
            is_similar := true;
            EXECUTE 'SELECT ARRAY(SELECT p.id FROM public.similar_people($1, 200) WITH ORDINALITY s (id, place)
                JOIN public.profiles p ON p.id = s.id WHERE ' || replace(unblocked, '$6', '$2')
                || ' ORDER BY s.place LIMIT $3)'
            INTO ids USING folded, viewer, row_limit;
        END IF;
    END IF;
    RETURN QUERY SELECT p.id, p.username, p.display_name, p.avatar_url, p.bio, p.arcanean_id, p.tier, p.is_verified,
        p.creation_count, p.follower_count, p.following_count, p.created_at, is_similar
    FROM unnest(ids) WITH ORDINALITY AS i (id, place) JOIN public.profiles p ON p.id = i.id ORDER BY i.place;
END
$$;
COMMENT ON FUNCTION list_people IS
    'a page of people by followers or newest first, all or those with a name; if there are none, those with a similar one';
REVOKE ALL ON FUNCTION list_people FROM PUBLIC;
GRANT EXECUTE ON FUNCTION list_people TO anon, authenticated, service_role, playhall_server;

-- ------------------------------------------------------------------ subscriptions

ALTER TABLE profiles
    ADD COLUMN subscription_period_end timestamptz,
    ADD COLUMN subscription_cancels boolean NOT NULL DEFAULT false,
    ADD COLUMN subscription_check_at timestamptz,
    ADD COLUMN subscription_fetch bigint NOT NULL DEFAULT 0;
CREATE INDEX profiles_subscription_check_idx ON profiles (subscription_check_at)
    WHERE subscription_check_at IS NOT NULL;
COMMENT ON COLUMN profiles.subscription_period_end IS 'until when the subscription is paid';
COMMENT ON COLUMN profiles.subscription_cancels IS 'whether the subscription ends with its period';
COMMENT ON COLUMN profiles.subscription_check_at IS 'when Stripe is asked again, whether or not it reports anything';
COMMENT ON COLUMN profiles.subscription_fetch IS 'the number of the fetch that is stored; one with a lower number is older';

CREATE SEQUENCE subscription_fetches AS bigint;
REVOKE ALL ON SEQUENCE subscription_fetches FROM PUBLIC, anon, authenticated, service_role;
GRANT USAGE ON SEQUENCE subscription_fetches TO playhall_server;

-- An erased person must not be billed any more, and nothing else remembers the customer.
CREATE TABLE stripe_deletions (
    customer_id text PRIMARY KEY CHECK (char_length(customer_id) <= 255),
    due_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX stripe_deletions_due_at_idx ON stripe_deletions (due_at);
COMMENT ON TABLE stripe_deletions IS 'customers whom Stripe is to delete, with their subscriptions, since the person was erased';
SELECT playhall_auth.secure('stripe_deletions');
GRANT SELECT, INSERT, UPDATE, DELETE ON stripe_deletions TO playhall_server;

CREATE FUNCTION customer_orphaned() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    INSERT INTO public.stripe_deletions (customer_id) VALUES (OLD.stripe_customer_id) ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION customer_orphaned() IS 'has Stripe forget the customer of a person who is erased';
REVOKE ALL ON FUNCTION customer_orphaned() FROM PUBLIC;
CREATE TRIGGER profiles_customer_orphaned AFTER DELETE ON profiles
    FOR EACH ROW WHEN (OLD.stripe_customer_id IS NOT NULL) EXECUTE FUNCTION customer_orphaned();

-- ------------------------------------------------------------------ one's own profile

-- As text, which is not bound to the columns that there were when it was made.
CREATE OR REPLACE FUNCTION own_profile() RETURNS SETOF profiles LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = '' AS $$
    SELECT * FROM public.profiles WHERE id = (SELECT auth.uid())
$$;
