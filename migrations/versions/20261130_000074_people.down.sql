-- Discovery and what is known of subscriptions go; who is not active stays so.

DROP TRIGGER profiles_customer_orphaned ON profiles;
DROP FUNCTION customer_orphaned();
DROP TABLE stripe_deletions;
DROP SEQUENCE subscription_fetches;
ALTER TABLE profiles
    DROP COLUMN subscription_period_end, DROP COLUMN subscription_cancels, DROP COLUMN subscription_check_at,
    DROP COLUMN subscription_fetch;

DROP FUNCTION list_people, similar_people(text, int);
DROP TYPE person_card;
DROP INDEX IF EXISTS profiles_names_trgm_idx;
DROP INDEX profiles_newest_idx, profiles_popular_idx;
ALTER TABLE profiles DROP COLUMN search_names;

CREATE OR REPLACE VIEW good_bot_tokens WITH (security_invoker = true) AS
SELECT t.id AS token_id, t.bot_identity_id, t.scopes, t.expires_at
FROM bot_tokens t
JOIN bot_identities b ON b.id = t.bot_identity_id
JOIN v_current_bot_identity_owner o
  ON o.bot_identity_id = b.id AND o.owner_address = t.created_by_address
JOIN wallets w ON w.address = o.owner_address
WHERE t.revoked_at IS NULL AND b.status = 'active' AND NOT EXISTS (
    SELECT FROM account_bans a WHERE a.user_id = w.user_id
        AND (a.ends_at IS NULL OR a.ends_at > clock_timestamp()));

DROP TRIGGER profiles_deactivation_stamped ON profiles;
DROP FUNCTION deactivation_stamped();
ALTER TABLE profiles DROP CONSTRAINT profiles_deactivation_is_known, DROP COLUMN deactivated_at,
    DROP COLUMN deactivated_by;

CREATE OR REPLACE FUNCTION own_profile() RETURNS SETOF profiles LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
BEGIN ATOMIC
    SELECT * FROM public.profiles WHERE id = (SELECT auth.uid());
END;
