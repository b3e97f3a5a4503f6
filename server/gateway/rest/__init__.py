"""PostgREST's query language: what the Supabase clients send to `/rest/v1`.

A request goes through four steps, each a module that knows only the one before it:

    text  --parser-->  query  --planner + catalogue-->  plan  --sql-->  statement + arguments

The first two are pure: any text gives a result or a `RestError`. Names become identifiers of the
database in the planner, which takes them from the catalogue and from nowhere else; everything that
a client writes as a value stays an argument of the statement. `responses` turns what came back into
a status and headers.
"""
