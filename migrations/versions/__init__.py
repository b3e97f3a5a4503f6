"""Every change to the schema, one a file, named by its time.

For: the steps from an empty database to the newest schema: `<revision>_<topic>.py` names
a step and its place in the chain, `.up.sql` and `.down.sql` beside it do the work.

Promises: a step that has been released is never edited; each has its way back.

Must not know: rules, sockets, or what runs a step.
"""
