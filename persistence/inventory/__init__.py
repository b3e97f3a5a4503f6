"""Inventories, their ledger, what there is to hold, and the review queue."""
