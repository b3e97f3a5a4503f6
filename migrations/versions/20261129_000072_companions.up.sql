ALTER TABLE luminor_messages
    ADD COLUMN failure text CHECK (failure IN
        ('provider_error', 'provider_timeout', 'cut_off', 'too_long', 'withheld', 'interrupted')),
    ADD COLUMN streamed_at timestamptz;
COMMENT ON COLUMN luminor_messages.failure IS 'why an answer is not complete';
COMMENT ON COLUMN luminor_messages.streamed_at IS 'when the node that writes the answer last confirmed it';
CREATE INDEX luminor_messages_streaming_idx ON luminor_messages (streamed_at) WHERE status = 'streaming';
CREATE UNIQUE INDEX luminor_messages_one_stream_idx ON luminor_messages (conversation_id) WHERE status = 'streaming';

ALTER TABLE luminor_memories ADD COLUMN subject text CHECK (char_length(subject) BETWEEN 1 AND 200);
COMMENT ON COLUMN luminor_memories.subject IS 'what it is about: a newer memory of a subject supersedes the older one';
CREATE UNIQUE INDEX luminor_memories_subject_idx ON luminor_memories (user_id, luminor_id, subject)
    WHERE subject IS NOT NULL AND superseded_at IS NULL;

CREATE TABLE luminor_usage (
    user_id  uuid NOT NULL REFERENCES profiles ON DELETE CASCADE,
    day      date NOT NULL,
    messages int NOT NULL DEFAULT 0 CHECK (messages >= 0),
    tokens   bigint NOT NULL DEFAULT 0 CHECK (tokens >= 0),
    cost     numeric(14, 6) NOT NULL DEFAULT 0 CHECK (cost >= 0),
    PRIMARY KEY (user_id, day)
) WITH (fillfactor = 80);
COMMENT ON TABLE luminor_usage IS 'what a person used of companions on a day, by UTC; stays when conversations are deleted';
COMMENT ON COLUMN luminor_usage.cost IS 'in US dollars';
SELECT playhall_auth.secure('luminor_usage');
GRANT SELECT, INSERT, UPDATE ON luminor_usage TO playhall_server;
CREATE POLICY own_readable ON luminor_usage FOR SELECT TO authenticated USING (user_id = (SELECT auth.uid()));
GRANT SELECT ON luminor_usage TO authenticated;
