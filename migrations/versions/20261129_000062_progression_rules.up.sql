-- Rules of progression: which quests devices were told of.

-- ------------------------------------------------------------------ available quests

CREATE TABLE quest_availability (
    slot_id   uuid PRIMARY KEY REFERENCES save_slots (slot_id) ON DELETE CASCADE,
    available uuid[] NOT NULL DEFAULT '{}' CHECK (cardinality(available) <= 1000),
    reached   uuid[] NOT NULL DEFAULT '{}' CHECK (cardinality(reached) <= 10000)
);
COMMENT ON TABLE quest_availability IS 'which quests a slot''s devices were told of, so that they are told once';
COMMENT ON COLUMN quest_availability.available IS 'quests that are available, as the devices know';
COMMENT ON COLUMN quest_availability.reached IS 'quests that ever were available in the slot';

SELECT playhall_auth.secure('quest_availability');
REVOKE ALL ON quest_availability FROM service_role;
GRANT SELECT, INSERT, UPDATE ON quest_availability TO playhall_server;
