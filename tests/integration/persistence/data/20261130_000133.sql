-- Policies only.
SELECT 1;
