UPDATE luminor_memories SET embedding = '{0.6,0.8}', embedding_model = 'test@1' WHERE content = 'likes lakes';
