"""The schema, and the way from any older one to it.

For: `runner` brings a database up, down, or says where it stands; `versions` holds the
steps: a module that names its place in the chain, and its SQL written out beside it.

Promises: an upgrade happens whole or not at all, and once, however many servers start at
the same moment; the same steps run on plain PostgreSQL 15+ and on Supabase; a step down
drops what its step up made, rows included, so take a backup first.

Must not know: rules, sockets, or what any table is used for.
"""
