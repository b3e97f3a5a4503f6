"""`/rest/v1`: the database for the Supabase clients, under row level security."""
