"""Mail: letters on their way out.

For: writing letters, and carrying them to an SMTP server or, for development, into a folder.

Promises: whoever sends does not wait; a letter that cannot be carried is tried again for a
while; what waits is bounded; no log has an address or what a letter says.

Must not know: accounts, the database, sockets of clients.
"""
