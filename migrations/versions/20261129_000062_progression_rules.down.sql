DROP TRIGGER currencies_given ON currencies;
DROP TRIGGER item_definitions_given ON item_definitions;
DROP FUNCTION reward_is_given();
DROP TABLE reward_assets;
DROP TABLE quest_availability;
