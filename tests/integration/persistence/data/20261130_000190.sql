-- Functions only.
SELECT 1;
