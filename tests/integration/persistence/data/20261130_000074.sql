UPDATE profiles SET is_active = false, deactivated_by = 'self'
WHERE id = '00000000-0000-4000-8000-000000000700';
UPDATE profiles SET is_active = true, stripe_customer_id = 'cus_074', subscription_period_end = now(),
    subscription_cancels = true, subscription_fetch = nextval('subscription_fetches')
WHERE id = '00000000-0000-4000-8000-000000000700';
INSERT INTO stripe_deletions (customer_id) VALUES ('cus_gone') ON CONFLICT DO NOTHING;
