-- A function, and another form of a table that has rows already.
SELECT 1;
