"""The pages: what this server is, and how to talk to it.

For: the start page and the documents made readable; plain HTML, CSS and JavaScript.

Promises: everything comes from this server, from memory, and may load nothing else; a
browser asks again and learns when nothing has changed.

Must not know: storage, domains; the pages ask the public addresses like any client.
"""
