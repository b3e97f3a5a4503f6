-- A function only.
SELECT 1;
