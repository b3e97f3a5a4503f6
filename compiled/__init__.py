"""The compiled build, which is optional: `make fast` makes it, `make pure` removes it.

For: running the path of a move, from its frame to its log, as machine code made of the same source
(by mypyc). `modules` lists what is compiled, `loader` decides whether it is loaded.

Promises: what is compiled is loaded as a whole or not at all, and only as long as every source that
it was made of is still the same. Without a build, everything runs as it is written.

Must not know: what the modules do. It imports nothing of ours, since it runs before all of that.
"""
