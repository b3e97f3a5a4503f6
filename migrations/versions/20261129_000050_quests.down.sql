DROP TABLE quest_events_seen, reward_claims, quest_progress, quests, timed_events, seasons;
DROP FUNCTION quest_progress_moves();
DROP TYPE quest_status;
