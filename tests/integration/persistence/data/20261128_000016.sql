UPDATE playhall_auth.refresh_tokens SET family = '\x01';
UPDATE players SET display_name = 'Ada' WHERE id = '00000000-0000-4000-8000-000000000003';
