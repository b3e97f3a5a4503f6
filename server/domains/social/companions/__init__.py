"""Companions: conversations whose answers are written piece by piece, memories and bonds.

For: talking to a companion over HTTP (server-sent events) or the websocket; what it remembers; what
that costs.

Promises: what is said under one request id is said and answered once; an answer is written whether
or not anybody reads it, can be followed from any offset on any node, and ends in a definite state
whatever happens to the node; its tokens and cost are recorded. What people write never becomes part
of a system prompt, and a system prompt is not sent to clients.

Must not know: how bonds grow and counters are kept (triggers do it), other people's rows.
"""
