"""Changes of published tables, and who may read them: what realtime channels are made of."""
