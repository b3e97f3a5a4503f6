-- Copy the longest finished game so many times, with its log and its summary.
WITH source AS (
    SELECT g AS game, s AS summary
    FROM games g JOIN game_summaries s ON s.game_id = g.id
    ORDER BY g.next_event_index DESC LIMIT 1
), copied AS (
    INSERT INTO games
    SELECT (jsonb_populate_record(game, jsonb_build_object('id', gen_random_uuid()))).*
    FROM source, generate_series(1, %(copies)s)
    RETURNING id
), summarised AS (
    INSERT INTO game_summaries
    SELECT (jsonb_populate_record(
        summary, jsonb_build_object('id', gen_random_uuid(), 'game_id', copied.id)
    )).*
    FROM source, copied
), events AS MATERIALIZED (
    SELECT e.event_index, e.type, e.payload, e.created_at, e.hash
    FROM source JOIN game_events e ON e.game_id = (game).id
)
INSERT INTO game_events (game_id, event_index, type, payload, created_at, hash)
SELECT copied.id, events.event_index, events.type, events.payload, events.created_at, events.hash
FROM copied, events
