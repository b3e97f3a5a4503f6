INSERT INTO seasons (save_title, name, title, starts_at, zone, duration_s)
VALUES ('demo', 'autumn', 'Autumn', '2026-09-01 00:00', 'Europe/Berlin', 7776000);
INSERT INTO timed_events (save_title, name, season, title, starts_at, zone, duration_s, recurrence)
VALUES ('demo', 'harvest', 'autumn', 'Harvest', '2026-10-02 18:00', 'Europe/Berlin', 7200, 'FREQ=WEEKLY');
INSERT INTO quests (quest_id, title, save_title, name, event, required_flags)
VALUES ('00000000-0000-4000-8000-000000000501', 'Bring it in', 'demo', 'bring_it_in', 'harvest', 'flags.met');
INSERT INTO quest_progress (entry_id, slot_id, account_id, quest_id)
SELECT '00000000-0000-4000-8000-000000000502', slot_id, account_id, '00000000-0000-4000-8000-000000000501'
FROM save_slots WHERE slot_id = '00000000-0000-4000-8000-000000000271';
UPDATE quest_progress SET status = 'available';
INSERT INTO quest_events_seen (entry_id, event_id)
VALUES ('00000000-0000-4000-8000-000000000502', '00000000-0000-4000-8000-000000000503');
INSERT INTO reward_claims (account_id, quest_id, slot_id)
VALUES ('00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000501',
        '00000000-0000-4000-8000-000000000271');
