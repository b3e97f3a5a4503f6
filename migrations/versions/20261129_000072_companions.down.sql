DROP TABLE luminor_usage;
DROP INDEX luminor_memories_subject_idx;
ALTER TABLE luminor_memories DROP COLUMN subject;
DROP INDEX luminor_messages_one_stream_idx, luminor_messages_streaming_idx;
ALTER TABLE luminor_messages DROP COLUMN failure, DROP COLUMN streamed_at;
