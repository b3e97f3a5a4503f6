"""A client's connection: who it is, and the commands that it sends."""
