DROP TABLE save_log_mutations, save_log_events, save_logs;
