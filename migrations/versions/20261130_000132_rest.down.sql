DROP SCHEMA playhall_rest CASCADE;
