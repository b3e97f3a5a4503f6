"""What is installed only where an operator asks for it: traces, times of replies, logs as JSON.

For: seeing what one request or command caused, on all nodes that had a part in it.

Promises: a server that asks for none of them runs the very methods that are written in the other
packages. What observes them replaces them by wrappers when the server starts (`wrapping`), so the
paths of commands and events have no hooks, no checks and no calls for it.
"""
