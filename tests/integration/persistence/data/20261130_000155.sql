INSERT INTO game_archives (game_id, object_key, events, head_hash, content_sha256, content_bytes, object_bytes, last_event_at)
VALUES ('00000000-0000-4000-8000-000000000006', 'archive/games/00/00000000-0000-4000-8000-000000000006.jsonl.gz',
        10, decode(repeat('00', 16), 'hex'), decode(repeat('00', 32), 'hex'), 2000, 300, now());
