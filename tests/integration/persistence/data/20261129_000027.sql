INSERT INTO blueprint_rules (name_pattern) VALUES ('[a-z]+[1-9][0-9]{0,3}');
INSERT INTO blueprints (owner_id, name, version, data)
SELECT id, 'rover7', 7, '{}' FROM profiles LIMIT 1;
