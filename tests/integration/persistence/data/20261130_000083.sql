-- A policy only.
SELECT 1;
