DROP TABLE economy_flags, unlocks, ledger_entries, ledger_transactions, currency_balances, inventory_items,
    recipes, currencies, item_definitions;
DROP FUNCTION ledger_applies(), ledger_balances(), ledger_is_kept();
