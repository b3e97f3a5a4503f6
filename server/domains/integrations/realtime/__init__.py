"""`/realtime/v1`: channels for the Supabase clients: changes of tables, broadcast and presence."""
