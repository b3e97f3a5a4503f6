"""Bytes on a port: the listener, HTTP connections, websockets, and the bounds on both."""
