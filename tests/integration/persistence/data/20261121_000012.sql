UPDATE profiles SET username_changed_at = now(), preferences = '{"sound": false}'
WHERE id = '00000000-0000-4000-8000-000000000001';
UPDATE match_players SET xp = 35 WHERE player_id = '00000000-0000-4000-8000-000000000003';
UPDATE profiles SET xp_total = 35 WHERE id = '00000000-0000-4000-8000-000000000001';
UPDATE players SET erased_at = now() WHERE id = '00000000-0000-4000-8000-000000000004';
