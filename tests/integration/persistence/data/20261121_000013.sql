INSERT INTO bot_identities
  (id, slug, created_by_user_id, player_id, chain_id, contract_address, token_id)
SELECT '00000000-0000-4000-8000-000000000020', 'bot_ada', '00000000-0000-4000-8000-000000000001',
       id, 1, '0x' || repeat('a', 40), 7
FROM players WHERE user_id IS NULL;
INSERT INTO bot_identity_owners (bot_identity_id, owner_address)
VALUES ('00000000-0000-4000-8000-000000000020', '0x' || repeat('b', 40));
INSERT INTO bot_avatars (id, bot_identity_id, generation_index, source_provider, glb_uri, moderation_status)
VALUES ('00000000-0000-4000-8000-000000000021', '00000000-0000-4000-8000-000000000020', 1, 'manual',
        'ipfs://a', 'approved');
UPDATE bot_identities SET active_avatar_id = '00000000-0000-4000-8000-000000000021';
INSERT INTO bot_avatar_loadouts (bot_identity_id, avatar_id, selected_by_address)
VALUES ('00000000-0000-4000-8000-000000000020', '00000000-0000-4000-8000-000000000021',
        '0x' || repeat('b', 40));
INSERT INTO bot_tokens (bot_identity_id, token_hash, scopes, created_by_address)
VALUES ('00000000-0000-4000-8000-000000000020', '\x01', '{claim}', '0x' || repeat('b', 40));
INSERT INTO wallets (address, user_id)
VALUES ('0x' || repeat('b', 40), '00000000-0000-4000-8000-000000000001');
INSERT INTO wallet_nonces (nonce, user_id, expires_at)
VALUES ('n', '00000000-0000-4000-8000-000000000001', now());
INSERT INTO epoch_profiles (id, profile_key, version, config)
VALUES ('00000000-0000-4000-8000-000000000022', 'short-v1', 1,
        '{"governance": {"human_voting": true, "targets": [{"type": "tempo", "score_min": "0", "score_max": "1"}],
          "anti_abuse": {"newcomer_weight": "1", "known_after": 0}}}');
INSERT INTO epochs (id, day_date, profile_id, phase, starts_at, freeze_at, ends_at, version)
VALUES ('00000000-0000-4000-8000-000000000023', '2100-02-12', '00000000-0000-4000-8000-000000000022',
        'live', '2100-02-12', '2100-02-12 23:50Z', '2100-02-13', 1);
INSERT INTO epoch_slot_states (epoch_id, slot_index, slot_type, slot_label)
VALUES ('00000000-0000-4000-8000-000000000023', 0, 'drums', 'Drums');
INSERT INTO epoch_events (epoch_id, event_type, actor_bot_identity_id, slot_index, version)
VALUES ('00000000-0000-4000-8000-000000000023', 'slot_claimed', '00000000-0000-4000-8000-000000000020',
        0, 1);
INSERT INTO epoch_votes (epoch_id, voter_address, vote_target_type, vote_target_id, score)
VALUES ('00000000-0000-4000-8000-000000000023', '0x' || repeat('b', 40), 'tempo', '120', 1);
INSERT INTO epoch_contributions (epoch_id, bot_identity_id)
VALUES ('00000000-0000-4000-8000-000000000023', '00000000-0000-4000-8000-000000000020');
INSERT INTO epoch_payouts (epoch_id, bot_identity_id, recipient_address, bps, events_digest)
VALUES ('00000000-0000-4000-8000-000000000023', '00000000-0000-4000-8000-000000000020',
        '0x' || repeat('b', 40), 10000, '\x01');
INSERT INTO epoch_settlements (epoch_id, number, computed_by, events_digest, result)
VALUES ('00000000-0000-4000-8000-000000000023', 1, 'n1', '\x01', '{}');
INSERT INTO epoch_editions (epoch_id) VALUES ('00000000-0000-4000-8000-000000000023');
INSERT INTO bot_stats_snapshots (bot_identity_id, epoch_id, snapshot_uri)
VALUES ('00000000-0000-4000-8000-000000000020', '00000000-0000-4000-8000-000000000023', 'ipfs://s');
INSERT INTO epoch_leader (node, lease_until) VALUES ('n1', now());
INSERT INTO chain_cursors (chain_id, contract_address, block_number, block_hash, block_at)
VALUES (1, '0x' || repeat('a', 40), 1, '0x1', now());
INSERT INTO chain_blocks VALUES (1, '0x' || repeat('a', 40), 1, '0x1');
INSERT INTO chain_transfers VALUES (1, '0x' || repeat('a', 40), 1, 0, 7, '0x0', '0x1', now());
