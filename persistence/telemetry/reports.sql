-- name: funnel
-- Count the players who reached each step of a quest, what share of the first step's that is, and how many went no further.
WITH reached AS (
    SELECT payload ->> 'quest' AS quest, payload ->> 'step' AS step,
        min(CASE WHEN jsonb_typeof(payload -> 'order') = 'number' THEN (payload ->> 'order')::float8 END) AS place,
        count(DISTINCT account_id) AS players
    FROM telemetry_events
    WHERE event_id >= $1 AND event_id < $2 AND event_type = 'quest_step'
        AND ($3::text IS NULL OR payload ->> 'quest' = $3)
    GROUP BY 1, 2)
SELECT quest, step, place, players, players::float8 / first_value(players) OVER along AS share,
    CASE WHEN lead(players) OVER along IS NOT NULL
        THEN greatest(players - lead(players) OVER along, 0) END AS lost
FROM reached WINDOW along AS (PARTITION BY quest ORDER BY place, step)
ORDER BY quest, place, step LIMIT $4;

-- name: stops
-- Count the players who have sent nothing since an id's time, by the last step that they reached.
WITH seen AS (
    SELECT account_id, max(event_id::text)::uuid AS last_id FROM telemetry_events
    WHERE event_id >= $1 AND event_id < $2 GROUP BY account_id
), steps AS (
    SELECT DISTINCT ON (account_id) account_id, payload ->> 'quest' AS quest, payload ->> 'step' AS step
    FROM telemetry_events
    WHERE event_id >= $1 AND event_id < $2 AND event_type = 'quest_step'
        AND ($3::text IS NULL OR payload ->> 'quest' = $3)
    ORDER BY account_id, event_id DESC
)
SELECT quest, step, count(*) AS players, count(*)::float8 / sum(count(*)) OVER () AS share
FROM steps JOIN seen ON seen.account_id = steps.account_id
WHERE seen.last_id < $5
GROUP BY quest, step ORDER BY players DESC, quest, step LIMIT $4;

-- name: pacing
-- Read how long each chapter took those who finished it, once each.
WITH first AS (
    SELECT DISTINCT ON (account_id, payload ->> 'chapter') payload ->> 'chapter' AS chapter,
        CASE WHEN jsonb_typeof(payload -> 'order') = 'number' THEN (payload ->> 'order')::float8 END AS place,
        (payload ->> 'seconds')::float8 AS seconds
    FROM telemetry_events
    WHERE event_id >= $1 AND event_id < $2 AND event_type = 'chapter'
        AND jsonb_typeof(payload -> 'seconds') = 'number'
    ORDER BY account_id, payload ->> 'chapter', event_id
)
SELECT chapter, min(place) AS place, count(*) AS players,
    percentile_cont(0.1) WITHIN GROUP (ORDER BY seconds) AS p10,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS median,
    percentile_cont(0.9) WITHIN GROUP (ORDER BY seconds) AS p90, avg(seconds) AS mean
FROM first GROUP BY chapter ORDER BY min(place), chapter LIMIT $3;

-- name: choices
-- Count the players by the option that they chose first, choice by choice.
WITH first AS (
    SELECT DISTINCT ON (account_id, payload ->> 'choice') payload ->> 'choice' AS choice,
        payload ->> 'option' AS option, payload ->> 'tone' AS tone
    FROM telemetry_events
    WHERE event_id >= $1 AND event_id < $2 AND event_type = 'choice'
    ORDER BY account_id, payload ->> 'choice', event_id
)
SELECT choice, option, min(tone) AS tone, count(*) AS players,
    count(*)::float8 / sum(count(*)) OVER (PARTITION BY choice) AS share
FROM first GROUP BY choice, option ORDER BY choice, players DESC, option LIMIT $3;
