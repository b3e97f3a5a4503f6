"""The chain: who owns which bot, as an ERC-721 contract has it.

For: following `Transfer` logs over JSON-RPC into the history of owners, and comparing that
history with `ownerOf` every night.

Promises: a range of blocks is kept whole or not at all, and never twice; what a
reorganisation takes back is taken back here; a node that is down, slow or lying stops only the
reading; no log has the node's URL.

Must not know: bots' names, epochs, payouts, sockets of clients.
"""
