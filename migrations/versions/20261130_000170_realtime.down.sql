DROP SCHEMA playhall_realtime CASCADE;
