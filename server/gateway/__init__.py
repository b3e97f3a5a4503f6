"""The gateway: from bytes on a port to commands with an identity, and back.

For: the front door (`frontdoor`: one port for HTTP and websockets), the websocket itself
(`handshake`, `websocket`, `framing`, `outbox`), who is connected (`sessions`, `session`,
`identity`), what a command or a request becomes (`dispatch`, `http`), which pages may ask and
whose word counts for where a client is (`origins`, `proxies`), and the `limits`.

Promises: nothing that a client does, or fails to do, costs more than the bounds in
`limits`, or makes another client wait; a frame that several clients get is made once; a
connection's frames leave in order, gathered into one write per turn of the loop; every
command is answered, and every websocket that is closed gets a code that says why.

Must not know: the rules of any game, what a command means, SQL.
"""
