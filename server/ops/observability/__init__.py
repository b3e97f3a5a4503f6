"""What is installed only where an operator asks for it: traces, times of replies, logs as JSON.

For: seeing what one request or command caused, on all nodes that had a part in it.

Promises: a server that asks for none of them compares a few pointers with None for each command
(`persistence.hook_points`), and loads nothing of this. Nothing replaces a method: compiled code,
which looks none up, would not notice.
"""
