-- Nothing is kept in a new way: `list_creation` and `player_names_account` work on the rows of before.
UPDATE creations SET title = title || '!';
