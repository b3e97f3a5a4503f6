"""Moving from a Supabase project to Playhall, and back: accounts, social tables, lists of files.

What is read and written here belongs to commands of the operator's, which work as the owner of the
tables. A project's tables are read as they are; rows that do not fit are named and left out.
"""
