INSERT INTO games (id, session_seed, config, status, ruleset, ruleset_version, quarantined_at,
                   quarantine_reason, quarantine_trace, ended_at, end_reason)
VALUES ('00000000-0000-4000-8000-000000001200', 's', '{}', 'in_progress', 'relay', 1, now(),
        'relay failed in evolve', 'Traceback', now(), 'It was stuck.')
ON CONFLICT (id) DO UPDATE SET
    quarantine_trace = 'Traceback', ended_at = now(), end_reason = 'It was stuck.';
