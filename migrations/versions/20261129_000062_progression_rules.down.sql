DROP TRIGGER save_slots_discard ON save_slots;
DROP FUNCTION slot_discards_holdings();
-- What was discarded stays, as taken back: the ledger is only ever added to.
ALTER TABLE ledger_transactions DISABLE TRIGGER ledger_transactions_kept;
UPDATE ledger_transactions SET kind = 'take_back' WHERE kind = 'discard';
ALTER TABLE ledger_transactions ENABLE ALWAYS TRIGGER ledger_transactions_kept;
ALTER TABLE ledger_transactions DROP CONSTRAINT ledger_transactions_kind_check;
ALTER TABLE ledger_transactions ADD CONSTRAINT ledger_transactions_kind_check CHECK (
    kind IN ('grant', 'collect', 'spend', 'use', 'craft', 'trade', 'give', 'take_back'));
DROP TRIGGER currencies_given ON currencies;
DROP TRIGGER item_definitions_given ON item_definitions;
DROP FUNCTION reward_is_given();
DROP TABLE reward_assets, slot_games, game_rewards, quest_checks;
ALTER TABLE quests DROP COLUMN follows, DROP COLUMN min_play_time_s;
DROP TABLE quest_availability;
