UPDATE players SET display_name = 'Zoë', color = 'hsl(12, 50%, 50%)' WHERE id = '00000000-0000-4000-8000-000000000003';
