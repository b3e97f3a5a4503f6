-- ------------------------------------------------------------------ bots and who owns them

CREATE TABLE bot_identities (
    id                 uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    slug               text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9][a-z0-9_-]{2,47}$'),
    created_at         timestamptz NOT NULL DEFAULT now(),
    created_by_user_id uuid REFERENCES profiles (id) ON DELETE SET NULL,
    player_id          uuid NOT NULL UNIQUE REFERENCES players (id),
    chain_id           int NOT NULL CHECK (chain_id > 0),
    contract_address   text NOT NULL CHECK (contract_address ~ '^0x[0-9a-f]{40}$'),
    token_id           numeric(78, 0) NOT NULL CHECK (token_id >= 0),
    metadata_uri       text,
    active_avatar_id   uuid,
    status             text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended', 'retired')),
    UNIQUE (chain_id, contract_address, token_id)
);
CREATE INDEX bot_identities_created_by_idx ON bot_identities (created_by_user_id);
COMMENT ON TABLE bot_identities IS 'bots that compete; each is a token of an ERC-721 contract';
COMMENT ON COLUMN bot_identities.player_id IS 'who it is among players; made with it';
COMMENT ON COLUMN bot_identities.contract_address IS 'lowercase hexadecimal, as every address here';
COMMENT ON COLUMN bot_identities.active_avatar_id IS 'the avatar it shows: an approved one of its own';

CREATE TABLE bot_identity_owners (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    bot_identity_id uuid NOT NULL REFERENCES bot_identities (id) ON DELETE CASCADE,
    owner_address   text NOT NULL CHECK (owner_address ~ '^0x[0-9a-f]{40}$'),
    source          text NOT NULL DEFAULT 'onchain' CHECK (source IN ('onchain', 'admin_correction')),
    effective_from  timestamptz NOT NULL DEFAULT now(),
    effective_to    timestamptz CHECK (effective_to >= effective_from),
    UNIQUE (bot_identity_id, effective_from)
);
CREATE UNIQUE INDEX idx_bot_identity_owners_current
    ON bot_identity_owners (bot_identity_id) WHERE effective_to IS NULL;
CREATE INDEX bot_identity_owners_address_idx
    ON bot_identity_owners (owner_address) WHERE effective_to IS NULL;
COMMENT ON TABLE bot_identity_owners IS 'who owned a bot and when: a history without overlaps';
COMMENT ON COLUMN bot_identity_owners.effective_to IS 'null while it lasts; at most one such row a bot';

CREATE VIEW v_current_bot_identity_owner WITH (security_invoker = true) AS
SELECT o.bot_identity_id, o.owner_address, o.effective_from
FROM bot_identity_owners o
WHERE o.effective_to IS NULL;

CREATE TABLE bot_avatars (
    id                uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    bot_identity_id   uuid NOT NULL REFERENCES bot_identities (id) ON DELETE CASCADE,
    generation_index  int NOT NULL CHECK (generation_index >= 1),
    source_provider   text NOT NULL CHECK (source_provider IN ('meshy', 'manual', 'import')),
    prompt            text,
    glb_uri           text NOT NULL,
    preview_image_uri text,
    manifest_uri      text,
    moderation_status text NOT NULL DEFAULT 'pending'
        CHECK (moderation_status IN ('pending', 'approved', 'rejected')),
    created_at        timestamptz NOT NULL DEFAULT now(),
    UNIQUE (bot_identity_id, generation_index),
    UNIQUE (bot_identity_id, id)
);
CREATE INDEX bot_avatars_moderation_idx ON bot_avatars (moderation_status, created_at, id);
COMMENT ON TABLE bot_avatars IS 'a bot''s avatars, numbered by generation from 1';

ALTER TABLE bot_identities ADD CONSTRAINT bot_identities_active_avatar_is_its_own
    FOREIGN KEY (id, active_avatar_id) REFERENCES bot_avatars (bot_identity_id, id);

CREATE TABLE bot_avatar_loadouts (
    id                  uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    bot_identity_id     uuid NOT NULL REFERENCES bot_identities (id) ON DELETE CASCADE,
    avatar_id           uuid NOT NULL REFERENCES bot_avatars (id) ON DELETE CASCADE,
    selected_by_address text NOT NULL,
    selected_at         timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_bot_avatar_loadouts_identity_time
    ON bot_avatar_loadouts (bot_identity_id, selected_at DESC);
CREATE INDEX bot_avatar_loadouts_avatar_idx ON bot_avatar_loadouts (avatar_id);
COMMENT ON TABLE bot_avatar_loadouts IS 'which avatar was chosen when, and by which owner';

CREATE TABLE bot_tokens (
    id                 uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    bot_identity_id    uuid NOT NULL REFERENCES bot_identities (id) ON DELETE CASCADE,
    token_hash         bytea NOT NULL UNIQUE,
    label              text NOT NULL DEFAULT '',
    scopes             text[] NOT NULL CHECK (scopes <@ ARRAY['claim', 'vote', 'read'] AND scopes <> '{}'),
    created_by_address text NOT NULL,
    created_at         timestamptz NOT NULL DEFAULT now(),
    expires_at         timestamptz,
    revoked_at         timestamptz
);
CREATE INDEX bot_tokens_bot_idx ON bot_tokens (bot_identity_id);
COMMENT ON TABLE bot_tokens IS 'what bots sign in with; good only while its maker owns the bot';
COMMENT ON COLUMN bot_tokens.token_hash IS 'the token itself is never stored';

CREATE TABLE wallets (
    address   text PRIMARY KEY CHECK (address ~ '^0x[0-9a-f]{40}$'),
    user_id   uuid NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
    linked_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX wallets_user_id_idx ON wallets (user_id);
COMMENT ON TABLE wallets IS 'Ethereum addresses that an account has proved to hold (EIP-4361)';

CREATE TABLE wallet_nonces (
    nonce      text PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz
);
CREATE INDEX wallet_nonces_expires_idx ON wallet_nonces (expires_at);
CREATE INDEX wallet_nonces_user_id_idx ON wallet_nonces (user_id);
COMMENT ON TABLE wallet_nonces IS 'what a wallet signs, each once, so that a signature cannot be used again';

-- ------------------------------------------------------------------ epochs

CREATE TABLE epoch_profiles (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    profile_key text NOT NULL UNIQUE CHECK (profile_key ~ '^[a-z0-9][a-z0-9-]{0,63}$'),
    version     int NOT NULL CHECK (version >= 1),
    config      jsonb NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    is_active   boolean NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX epoch_profiles_one_active_idx ON epoch_profiles (is_active) WHERE is_active;
COMMENT ON TABLE epoch_profiles IS 'rules of a day, as data; an epoch that has begun keeps its own';
COMMENT ON COLUMN epoch_profiles.is_active IS 'the one that new days are made with';

CREATE TABLE epochs (
    id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    day_date      date NOT NULL UNIQUE,
    profile_id    uuid NOT NULL REFERENCES epoch_profiles (id),
    phase         text NOT NULL DEFAULT 'prep'
        CHECK (phase IN ('prep', 'live', 'freeze', 'snapshot', 'settle', 'archive')),
    starts_at     timestamptz NOT NULL,
    freeze_at     timestamptz NOT NULL,
    ends_at       timestamptz NOT NULL,
    archived_at   timestamptz,
    summary_uri   text,
    created_at    timestamptz NOT NULL DEFAULT now(),
    version       bigint NOT NULL DEFAULT 0,
    frozen_at     timestamptz,
    events_digest bytea,
    pool_wei      numeric(78, 0) NOT NULL DEFAULT 0 CHECK (pool_wei >= 0),
    CONSTRAINT epochs_times_in_order CHECK (starts_at < freeze_at AND freeze_at <= ends_at),
    CONSTRAINT epochs_archived_has_time CHECK ((phase = 'archive') = (archived_at IS NOT NULL))
);
CREATE INDEX idx_epochs_phase_time ON epochs (phase, starts_at, ends_at);
CREATE INDEX epochs_profile_idx ON epochs (profile_id);
COMMENT ON TABLE epochs IS 'one row a day of competition';
COMMENT ON COLUMN epochs.version IS 'of the stream: grows by one with every event';
COMMENT ON COLUMN epochs.events_digest IS 'SHA-256 over the frozen events; settlement stands on it';
COMMENT ON COLUMN epochs.pool_wei IS 'what the day pays out in all';

-- Days may not overlap.
ALTER TABLE epochs ADD CONSTRAINT epochs_do_not_overlap
    EXCLUDE USING gist (tstzrange(starts_at, ends_at) WITH &&);

CREATE TABLE epoch_slot_states (
    id                             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    epoch_id                       uuid NOT NULL REFERENCES epochs (id) ON DELETE CASCADE,
    slot_index                     int NOT NULL CHECK (slot_index >= 0),
    slot_type                      text NOT NULL,
    slot_label                     text NOT NULL,
    current_code                   text,
    current_holder_bot_identity_id uuid REFERENCES bot_identities (id),
    updated_at                     timestamptz,
    version                        bigint NOT NULL DEFAULT 0,
    UNIQUE (epoch_id, slot_index)
);
CREATE INDEX epoch_slot_states_holder_idx ON epoch_slot_states (current_holder_bot_identity_id);
COMMENT ON TABLE epoch_slot_states IS 'what each slot holds now; follows from the events';
COMMENT ON COLUMN epoch_slot_states.version IS 'the stream''s version that changed it last';

CREATE TABLE epoch_events (
    id                    uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    epoch_id              uuid NOT NULL REFERENCES epochs (id) ON DELETE CASCADE,
    event_type            text NOT NULL,
    occurred_at           timestamptz NOT NULL DEFAULT now(),
    actor_bot_identity_id uuid REFERENCES bot_identities (id),
    actor_wallet_address  text,
    slot_index            int,
    payload               jsonb NOT NULL DEFAULT '{}',
    version               bigint NOT NULL,
    UNIQUE (epoch_id, version)
);
CREATE INDEX idx_epoch_events_epoch_time ON epoch_events (epoch_id, occurred_at);
CREATE INDEX idx_epoch_events_type ON epoch_events (event_type, occurred_at);
-- Where a day was frozen is asked for with all its events.
CREATE INDEX epoch_events_phases_idx ON epoch_events (epoch_id, version)
    WHERE event_type = 'phase_changed';
CREATE INDEX epoch_events_actor_idx
    ON epoch_events (actor_bot_identity_id, epoch_id, occurred_at DESC)
    WHERE actor_bot_identity_id IS NOT NULL;
COMMENT ON TABLE epoch_events IS 'the log of a day: never changed, numbered without a hole by version';
CREATE TRIGGER epoch_events_immutable BEFORE UPDATE OR DELETE ON epoch_events
    FOR EACH ROW EXECUTE FUNCTION refuse_change('events are never changed and never deleted');
CREATE TRIGGER epoch_events_kept_whole BEFORE TRUNCATE ON epoch_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('events are never changed and never deleted');
ALTER TABLE epoch_events ENABLE ALWAYS TRIGGER epoch_events_immutable;
ALTER TABLE epoch_events ENABLE ALWAYS TRIGGER epoch_events_kept_whole;

CREATE TABLE epoch_votes (
    id               uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    epoch_id         uuid NOT NULL REFERENCES epochs (id) ON DELETE CASCADE,
    voter_address    text NOT NULL,
    voter_session_id text,
    vote_target_type text NOT NULL CHECK (vote_target_type IN ('bot', 'tempo', 'key', 'world_theme')),
    vote_target_id   text NOT NULL CHECK (char_length(vote_target_id) BETWEEN 1 AND 64),
    score            numeric(10, 4) NOT NULL,
    raw_weight       numeric(10, 4) NOT NULL DEFAULT 1,
    effective_weight numeric(10, 4) NOT NULL DEFAULT 1,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (epoch_id, voter_address, vote_target_type, vote_target_id)
);
CREATE INDEX epoch_votes_target_idx ON epoch_votes (epoch_id, vote_target_type, vote_target_id);
COMMENT ON TABLE epoch_votes IS 'a voter''s present score of a target; changed in place until the freeze';
COMMENT ON COLUMN epoch_votes.voter_address IS 'a wallet''s address, or bot:<id> for a bot';

CREATE TABLE epoch_contributions (
    id                uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    epoch_id          uuid NOT NULL REFERENCES epochs (id) ON DELETE CASCADE,
    bot_identity_id   uuid NOT NULL REFERENCES bot_identities (id) ON DELETE CASCADE,
    occupied_seconds  int NOT NULL DEFAULT 0,
    successful_claims int NOT NULL DEFAULT 0,
    defense_seconds   int NOT NULL DEFAULT 0,
    vote_quality      numeric(12, 6) NOT NULL DEFAULT 0,
    raw_score         numeric(38, 8) NOT NULL DEFAULT 0,
    normalized_share  numeric(18, 12) NOT NULL DEFAULT 0,
    computed_at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (epoch_id, bot_identity_id)
);
CREATE INDEX epoch_contributions_bot_idx ON epoch_contributions (bot_identity_id);
COMMENT ON TABLE epoch_contributions IS 'what each bot did in a day, and its share of it';

CREATE TABLE epoch_payouts (
    id                uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    epoch_id          uuid NOT NULL REFERENCES epochs (id) ON DELETE CASCADE,
    bot_identity_id   uuid NOT NULL REFERENCES bot_identities (id) ON DELETE CASCADE,
    recipient_address text NOT NULL,
    bps               int NOT NULL CHECK (bps >= 0 AND bps <= 10000),
    amount_wei        numeric(78, 0) CHECK (amount_wei >= 0),
    payout_tx_hash    text,
    status            text NOT NULL DEFAULT 'pending'
        CHECK (status IN ('pending', 'submitted', 'confirmed', 'failed')),
    created_at        timestamptz NOT NULL DEFAULT now(),
    events_digest     bytea NOT NULL,
    UNIQUE (epoch_id, bot_identity_id)
);
CREATE INDEX epoch_payouts_bot_idx ON epoch_payouts (bot_identity_id);
COMMENT ON TABLE epoch_payouts IS 'who is paid what for a day';
COMMENT ON COLUMN epoch_payouts.recipient_address IS 'the bot''s owner when the day was frozen';
COMMENT ON COLUMN epoch_payouts.events_digest IS 'of the frozen events that it was computed from';

CREATE TABLE epoch_settlements (
    id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    epoch_id      uuid NOT NULL REFERENCES epochs (id) ON DELETE CASCADE,
    number        int NOT NULL CHECK (number >= 1),
    computed_at   timestamptz NOT NULL DEFAULT now(),
    computed_by   text NOT NULL,
    reason        text NOT NULL DEFAULT '',
    events_digest bytea NOT NULL,
    result        jsonb NOT NULL,
    UNIQUE (epoch_id, number)
);
COMMENT ON TABLE epoch_settlements IS 'every result that was ever computed for a day, the newest in force';
COMMENT ON COLUMN epoch_settlements.result IS 'contributions and payouts as they were written';
CREATE TRIGGER epoch_settlements_immutable BEFORE UPDATE OR DELETE ON epoch_settlements
    FOR EACH ROW EXECUTE FUNCTION refuse_change('results that were published stay readable');
ALTER TABLE epoch_settlements ENABLE ALWAYS TRIGGER epoch_settlements_immutable;

CREATE TABLE epoch_editions (
    id               uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    epoch_id         uuid NOT NULL UNIQUE REFERENCES epochs (id) ON DELETE CASCADE,
    chain_id         int,
    contract_address text,
    token_id         numeric(78, 0),
    metadata_uri     text,
    minted_at        timestamptz
);
COMMENT ON TABLE epoch_editions IS 'the edition minted of a day';

CREATE TABLE bot_stats_snapshots (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    bot_identity_id uuid NOT NULL REFERENCES bot_identities (id) ON DELETE CASCADE,
    epoch_id        uuid REFERENCES epochs (id) ON DELETE SET NULL,
    snapshot_uri    text NOT NULL,
    snapshot_hash   text,
    created_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_bot_stats_snapshots_identity ON bot_stats_snapshots (bot_identity_id, created_at DESC);
CREATE UNIQUE INDEX bot_stats_snapshots_once_idx ON bot_stats_snapshots (bot_identity_id, epoch_id, snapshot_uri);
CREATE INDEX bot_stats_snapshots_epoch_idx ON bot_stats_snapshots (epoch_id);
COMMENT ON TABLE bot_stats_snapshots IS 'what a bot had come to after a day';
COMMENT ON COLUMN bot_stats_snapshots.snapshot_hash IS 'SHA-256 of the snapshot, hexadecimal';

-- ------------------------------------------------------------------ one leader, one chain

CREATE TABLE epoch_leader (
    singleton   boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    node        text NOT NULL,
    lease_until timestamptz NOT NULL
);
COMMENT ON TABLE epoch_leader IS 'the one node that advances the days; each step looks again under the day''s lock';

CREATE TABLE chain_cursors (
    chain_id         int NOT NULL,
    contract_address text NOT NULL,
    block_number     bigint NOT NULL CHECK (block_number >= 0),
    block_hash       text NOT NULL,
    block_at         timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL DEFAULT now(),
    reconciled_at    timestamptz,
    PRIMARY KEY (chain_id, contract_address)
);
COMMENT ON TABLE chain_cursors IS 'how far a contract''s transfers were read';
COMMENT ON COLUMN chain_cursors.block_at IS 'the block''s time: who owned what before it is known';

CREATE TABLE chain_blocks (
    chain_id         int NOT NULL,
    contract_address text NOT NULL,
    block_number     bigint NOT NULL,
    block_hash       text NOT NULL,
    PRIMARY KEY (chain_id, contract_address, block_number),
    FOREIGN KEY (chain_id, contract_address) REFERENCES chain_cursors ON DELETE CASCADE
);
COMMENT ON TABLE chain_blocks IS 'the last blocks read: where one has another hash now, the chain was reorganised';

CREATE TABLE chain_transfers (
    chain_id         int NOT NULL,
    contract_address text NOT NULL,
    block_number     bigint NOT NULL,
    log_index        int NOT NULL,
    token_id         numeric(78, 0) NOT NULL,
    from_address     text NOT NULL,
    to_address       text NOT NULL,
    occurred_at      timestamptz NOT NULL,
    PRIMARY KEY (chain_id, contract_address, block_number, log_index),
    FOREIGN KEY (chain_id, contract_address) REFERENCES chain_cursors ON DELETE CASCADE
);
CREATE INDEX chain_transfers_token_idx
    ON chain_transfers (chain_id, contract_address, token_id, block_number, log_index);
COMMENT ON TABLE chain_transfers IS 'transfers as read from the chain; a reorganisation takes them back';

-- ------------------------------------------------------------------ who may do what

SELECT playhall_auth.secure(
    'bot_identities', 'bot_identity_owners', 'bot_avatars', 'bot_avatar_loadouts', 'bot_tokens',
    'bot_stats_snapshots', 'wallets', 'wallet_nonces', 'epoch_profiles', 'epochs',
    'epoch_slot_states', 'epoch_events', 'epoch_votes', 'epoch_contributions', 'epoch_payouts',
    'epoch_settlements', 'epoch_editions', 'epoch_leader', 'chain_cursors', 'chain_blocks',
    'chain_transfers');
REVOKE UPDATE, DELETE ON epoch_events, epoch_settlements FROM service_role;

CREATE POLICY readable ON bot_identities FOR SELECT TO anon, authenticated USING (true);
CREATE POLICY readable ON bot_avatars FOR SELECT TO anon, authenticated
    USING (moderation_status = 'approved');
CREATE POLICY readable ON bot_avatar_loadouts FOR SELECT TO anon, authenticated USING (true);
CREATE POLICY readable ON bot_stats_snapshots FOR SELECT TO anon, authenticated USING (true);
CREATE POLICY readable ON epoch_profiles FOR SELECT TO anon, authenticated USING (true);
CREATE POLICY readable ON epochs FOR SELECT TO anon, authenticated USING (true);
CREATE POLICY readable ON epoch_slot_states FOR SELECT TO anon, authenticated USING (true);
CREATE POLICY readable ON epoch_editions FOR SELECT TO anon, authenticated USING (true);

GRANT SELECT (id, slug, created_at, player_id, chain_id, contract_address, token_id, metadata_uri,
    active_avatar_id, status) ON bot_identities TO anon, authenticated;
GRANT SELECT (id, bot_identity_id, generation_index, source_provider, glb_uri, preview_image_uri,
    manifest_uri, moderation_status, created_at) ON bot_avatars TO anon, authenticated;
GRANT SELECT (id, bot_identity_id, avatar_id, selected_at) ON bot_avatar_loadouts TO anon, authenticated;
GRANT SELECT ON bot_stats_snapshots, epoch_profiles, epochs, epoch_slot_states, epoch_editions
    TO anon, authenticated;

CREATE POLICY own ON wallets FOR SELECT TO authenticated USING (user_id = (SELECT auth.uid()));
GRANT SELECT ON wallets TO authenticated;

-- Everybody may count the ballots; whose they are is in the one column that is not for everybody.
CREATE POLICY readable ON epoch_events FOR SELECT TO anon, authenticated USING (true);
GRANT SELECT (id, epoch_id, event_type, occurred_at, actor_bot_identity_id, slot_index, payload, version)
    ON epoch_events TO anon, authenticated;
CREATE VIEW public_epoch_events WITH (security_invoker = true) AS
SELECT id, epoch_id, version, event_type, occurred_at, actor_bot_identity_id, slot_index, payload
FROM epoch_events;

-- People vote as themselves, with a wallet of their own, while the day is live; weights are
-- not theirs to set.
CREATE POLICY own_readable ON epoch_votes FOR SELECT TO authenticated
    USING (voter_address IN (SELECT address FROM wallets WHERE user_id = (SELECT auth.uid())));
CREATE POLICY own_insertable ON epoch_votes FOR INSERT TO authenticated
    WITH CHECK (
        voter_address IN (SELECT address FROM wallets WHERE user_id = (SELECT auth.uid()))
        AND EXISTS (SELECT FROM epochs e WHERE e.id = epoch_id AND e.phase = 'live'));
CREATE POLICY own_changeable ON epoch_votes FOR UPDATE TO authenticated
    USING (voter_address IN (SELECT address FROM wallets WHERE user_id = (SELECT auth.uid()))
        AND EXISTS (SELECT FROM epochs e WHERE e.id = epoch_id AND e.phase = 'live'));
GRANT SELECT, INSERT (epoch_id, voter_address, voter_session_id, vote_target_type, vote_target_id, score),
    UPDATE (score, voter_session_id) ON epoch_votes TO authenticated;

GRANT SELECT ON bot_identities, bot_identity_owners, bot_avatars, bot_avatar_loadouts, bot_tokens,
    bot_stats_snapshots, wallets, wallet_nonces, epoch_profiles, epochs, epoch_slot_states,
    epoch_events, epoch_votes, epoch_contributions, epoch_payouts, epoch_settlements,
    epoch_editions, epoch_leader, chain_cursors, chain_blocks, chain_transfers TO playhall_server;
GRANT INSERT, UPDATE ON bot_identities, bot_identity_owners, bot_avatars, bot_tokens, wallet_nonces,
    epoch_profiles, epochs, epoch_slot_states, epoch_votes, epoch_contributions, epoch_payouts,
    epoch_editions, epoch_leader, chain_cursors, chain_blocks, chain_transfers TO playhall_server;
GRANT INSERT ON bot_avatar_loadouts, bot_stats_snapshots, epoch_events, epoch_settlements
    TO playhall_server;
GRANT INSERT, DELETE ON wallets TO playhall_server;
-- A recomputed result takes the place of the one before, which epoch_settlements keeps; a
-- reorganised chain takes back what it told.
GRANT DELETE ON epoch_contributions, epoch_payouts, bot_identity_owners, wallet_nonces, chain_blocks,
    chain_transfers TO playhall_server;

REVOKE ALL ON v_current_bot_identity_owner, public_epoch_events
    FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT ON v_current_bot_identity_owner TO playhall_server, service_role;
GRANT SELECT ON public_epoch_events TO anon, authenticated, playhall_server, service_role;
