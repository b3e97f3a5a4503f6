DROP TABLE quest_availability;
