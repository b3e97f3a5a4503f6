INSERT INTO quest_availability (slot_id, available)
VALUES ('00000000-0000-4000-8000-000000000271', '{00000000-0000-4000-8000-000000000501}');
INSERT INTO item_definitions (item_id, name) VALUES ('lantern', 'Lantern') ON CONFLICT DO NOTHING;
INSERT INTO reward_assets (quest_id, item_id) VALUES ('00000000-0000-4000-8000-000000000501', 'lantern');
INSERT INTO game_rewards (save_title, ruleset, rewards) VALUES ('demo', 'relay', '[]');
INSERT INTO slot_games (slot_id, account_id, game_id)
SELECT slot_id, account_id, gen_random_uuid() FROM save_slots
WHERE slot_id = '00000000-0000-4000-8000-000000000271';
INSERT INTO quest_checks (save_title, play_time) VALUES ('demo', 'enforce');
