DROP VIEW public_epoch_events, v_current_bot_identity_owner;
DROP TABLE chain_transfers, chain_blocks, chain_cursors, epoch_leader, bot_stats_snapshots,
    epoch_editions, epoch_settlements, epoch_payouts, epoch_contributions, epoch_votes,
    epoch_events, epoch_slot_states, epochs, epoch_profiles, wallet_nonces, wallets, bot_tokens,
    bot_avatar_loadouts;
ALTER TABLE bot_identities DROP CONSTRAINT bot_identities_active_avatar_is_its_own;
DROP TABLE bot_avatars, bot_identity_owners, bot_identities;
