-- name: list_quests
-- List the quests of a title, by name.
SELECT quest_id, save_title, name, title, description, required_flags, fails_when, steps, reward_bundle,
       event, hidden, is_withdrawn, package, follows, min_play_time_s, version, updated_at
FROM quests WHERE save_title = $1 ORDER BY name LIMIT $2;

-- name: put_quest
-- Add a quest or change it. Adds none beyond a bound.
INSERT INTO quests AS q (save_title, name, title, description, required_flags, fails_when, steps,
                         reward_bundle, event, hidden, is_withdrawn, package, follows, min_play_time_s)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14
WHERE (SELECT count(*) FROM quests o WHERE o.save_title = $1 AND o.name <> $2) < $15
ON CONFLICT (save_title, name) DO UPDATE SET
    title = excluded.title, description = excluded.description, required_flags = excluded.required_flags,
    fails_when = excluded.fails_when, steps = excluded.steps, reward_bundle = excluded.reward_bundle,
    event = excluded.event, hidden = excluded.hidden, is_withdrawn = excluded.is_withdrawn,
    package = excluded.package, follows = excluded.follows,
    min_play_time_s = excluded.min_play_time_s, version = q.version + 1, updated_at = clock_timestamp()
RETURNING quest_id, save_title, name, title, description, required_flags, fails_when, steps, reward_bundle,
          event, hidden, is_withdrawn, package, follows, min_play_time_s, version, updated_at;

-- name: list_events
-- List the timed events of a title, by name.
SELECT event_id, save_title, name, season, title, description, starts_at, zone, duration_s, recurrence,
       is_withdrawn, version, updated_at
FROM timed_events WHERE save_title = $1 ORDER BY name LIMIT $2;

-- name: put_event
-- Add a timed event or change it; adds none beyond a bound.
INSERT INTO timed_events AS e (save_title, name, season, title, description, starts_at, zone, duration_s,
                               recurrence, is_withdrawn)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
WHERE (SELECT count(*) FROM timed_events o WHERE o.save_title = $1 AND o.name <> $2) < $11
ON CONFLICT (save_title, name) DO UPDATE SET
    season = excluded.season, title = excluded.title, description = excluded.description,
    starts_at = excluded.starts_at, zone = excluded.zone, duration_s = excluded.duration_s,
    recurrence = excluded.recurrence, is_withdrawn = excluded.is_withdrawn,
    version = e.version + 1, updated_at = clock_timestamp()
RETURNING event_id, save_title, name, season, title, description, starts_at, zone, duration_s, recurrence,
          is_withdrawn, version, updated_at;

-- name: list_seasons
-- List the seasons of a title, by name.
SELECT season_id, save_title, name, NULL::text AS season, title, description, starts_at, zone, duration_s,
       recurrence, is_withdrawn, version, updated_at
FROM seasons WHERE save_title = $1 ORDER BY name LIMIT $2;

-- name: put_season
-- Add a season or change it; adds none beyond a bound.
INSERT INTO seasons AS s (save_title, name, title, description, starts_at, zone, duration_s, recurrence,
                          is_withdrawn)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9
WHERE (SELECT count(*) FROM seasons o WHERE o.save_title = $1 AND o.name <> $2) < $10
ON CONFLICT (save_title, name) DO UPDATE SET
    title = excluded.title, description = excluded.description, starts_at = excluded.starts_at,
    zone = excluded.zone, duration_s = excluded.duration_s, recurrence = excluded.recurrence,
    is_withdrawn = excluded.is_withdrawn, version = s.version + 1, updated_at = clock_timestamp()
RETURNING season_id, save_title, name, NULL::text AS season, title, description, starts_at, zone, duration_s,
          recurrence, is_withdrawn, version, updated_at;

-- name: list_progress
-- Read how far a slot is with each quest that it has begun with.
SELECT entry_id, quest_id, status, step, step_count, last_updated FROM quest_progress WHERE slot_id = $1;

-- name: list_claims
-- List whose rewards an account has, of the quests of a title; what a modded slot got is not all of one.
SELECT c.quest_id FROM reward_claims c JOIN quests q ON q.quest_id = c.quest_id
WHERE c.account_id = $1 AND q.save_title = $2 AND c.grant_key = 'reward';

-- name: begin_progress
-- Note that a slot has to do with a quest.
INSERT INTO quest_progress (slot_id, account_id, quest_id) VALUES ($1, $2, $3)
ON CONFLICT (slot_id, quest_id) DO UPDATE SET step = quest_progress.step
RETURNING entry_id, quest_id, status, step, step_count, last_updated;

-- name: move_progress
-- Give an entry another state; a trigger refuses what the table of transitions does not have.
UPDATE quest_progress SET status = $2, step = $3, step_count = $4, last_updated = $5
WHERE entry_id = $1
RETURNING entry_id, quest_id, status, step, step_count, last_updated;

-- name: list_listening
-- List the active quests of some players whose present step counts games of a ruleset; of a player whose account was merged, those of the account that it was merged into.
SELECT p.entry_id, p.quest_id, p.slot_id, p.account_id, l.id AS player_id
FROM players l
JOIN profiles f ON f.id = l.account_id
JOIN quest_progress p ON p.account_id = coalesce(f.merged_into, f.id) AND p.status = 'active'
JOIN quests q ON q.quest_id = p.quest_id
WHERE l.id = ANY ($1::uuid[]) AND q.steps -> p.step ->> 'kind' = 'games'
  AND q.steps -> p.step ->> 'ruleset' = $2
ORDER BY p.entry_id LIMIT $3;

-- name: list_counted_rulesets
-- List which of some players have active quests whose present step counts games, and of which rulesets.
SELECT DISTINCT l.id AS player_id, q.steps -> p.step ->> 'ruleset' AS ruleset
FROM players l
JOIN profiles f ON f.id = l.account_id
JOIN quest_progress p ON p.account_id = coalesce(f.merged_into, f.id) AND p.status = 'active'
JOIN quests q ON q.quest_id = p.quest_id
WHERE l.id = ANY ($1::uuid[]) AND q.steps -> p.step ->> 'kind' = 'games';

-- name: see_event
-- Note that an entry has counted an event, unless it has.
INSERT INTO quest_events_seen (entry_id, event_id) VALUES ($1, $2)
ON CONFLICT DO NOTHING RETURNING event_id;

-- name: claim_reward
-- Note that an account gets a reward, unless it has it.
INSERT INTO reward_claims (account_id, quest_id, grant_key, slot_id, bundle) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING RETURNING claimed_at;

-- name: read_availability
-- Read which quests of a slot are available as its devices know, and which ever were.
SELECT available, reached FROM quest_availability WHERE slot_id = $1;

-- name: put_availability
-- Note which quests of a slot are available as its devices know, and which ever were.
INSERT INTO quest_availability (slot_id, available, reached) VALUES ($1, $2, $3)
ON CONFLICT (slot_id) DO UPDATE SET available = excluded.available, reached = excluded.reached;

-- name: read_checks
-- Read what is done about implausible progress in a title.
SELECT play_time, quest_order FROM quest_checks WHERE save_title = $1;

-- name: put_checks
-- Set what is done about implausible progress in a title; adds none beyond a bound.
INSERT INTO quest_checks (save_title, play_time, quest_order)
SELECT $1, $2, $3 WHERE (SELECT count(*) FROM quest_checks o WHERE o.save_title <> $1) < $4
ON CONFLICT (save_title) DO UPDATE SET
    play_time = excluded.play_time, quest_order = excluded.quest_order, updated_at = clock_timestamp()
RETURNING play_time, quest_order;
