"""The gateway: from bytes on a port to commands with an identity, and back.

`transport` (one port for HTTP and websockets: listener, handshake, framing, send buffers, proxies
and limits), `session` (who is connected, and which handler carries out a command), `http`
(endpoints as data, cross-origin rules, the OpenAPI document), and what is counted.

Promises: nothing that a client does, or fails to do, costs more than the bounds in
`transport.limits`, or makes another client wait; a frame that several clients get is made once; a
connection's frames leave in order, gathered into one write per turn of the loop; every
command is answered, and every websocket that is closed gets a code that says why.

Must not know: the rules of any game, what a command means, SQL.
"""
