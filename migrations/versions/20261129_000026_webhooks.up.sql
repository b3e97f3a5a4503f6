-- Webhooks: where events are sent to, and how each delivery went. For the server alone.
CREATE TABLE webhook_endpoints (
    endpoint_id     uuid PRIMARY KEY,
    url             text NOT NULL,
    description     text NOT NULL DEFAULT '',
    events          text[] NOT NULL CHECK (cardinality(events) > 0),
    secret          bytea NOT NULL,
    previous_secret bytea,
    previous_until  timestamptz,
    disabled_at     timestamptz,
    disabled_reason text CHECK (disabled_reason IN ('admin', 'failing', 'gone')),
    failing_since   timestamptz,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((disabled_at IS NULL) = (disabled_reason IS NULL)),
    CHECK ((previous_secret IS NULL) = (previous_until IS NULL))
);
COMMENT ON TABLE webhook_endpoints IS 'URLs that events are sent to';
COMMENT ON COLUMN webhook_endpoints.secret IS 'secret: what deliveries are signed with, sealed';
COMMENT ON COLUMN webhook_endpoints.previous_secret IS 'secret: the one before, which signs too until previous_until';
COMMENT ON COLUMN webhook_endpoints.failing_since IS 'the first failure since the last success';

CREATE TABLE webhook_deliveries (
    seq             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    delivery_id     uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    endpoint_id     uuid NOT NULL REFERENCES webhook_endpoints (endpoint_id) ON DELETE CASCADE,
    event_id        uuid NOT NULL,
    name            text NOT NULL,
    version         int NOT NULL,
    payload         jsonb NOT NULL,
    occurred_at     timestamptz NOT NULL,
    state           text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'dead')),
    attempts        int NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_attempt_at timestamptz,
    last_status     int,
    last_error      text,
    delivered_at    timestamptz,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT webhook_deliveries_once UNIQUE (endpoint_id, event_id)
);
CREATE INDEX webhook_deliveries_due_idx ON webhook_deliveries (endpoint_id, next_attempt_at, seq)
    WHERE state = 'pending';
CREATE INDEX webhook_deliveries_listed_idx ON webhook_deliveries (endpoint_id, seq);
CREATE INDEX webhook_deliveries_created_at_idx ON webhook_deliveries (created_at);
COMMENT ON TABLE webhook_deliveries IS 'an event on its way to a webhook';
COMMENT ON COLUMN webhook_deliveries.payload IS 'that of the event: ids and figures';
COMMENT ON COLUMN webhook_deliveries.next_attempt_at IS 'when it is due; while a node sends it, when it would be due again';
COMMENT ON CONSTRAINT webhook_deliveries_once ON webhook_deliveries IS 'an event that comes twice is sent once';

SELECT playhall_auth.secure('webhook_endpoints', 'webhook_deliveries');
REVOKE ALL ON webhook_endpoints, webhook_deliveries FROM service_role;
GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_endpoints, webhook_deliveries TO playhall_server;
