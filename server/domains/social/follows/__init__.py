"""Follows: whom people follow, block and mute.

For: following with or without notices of new creations; blocks, which hide two people from each
other everywhere; mutes, which keep a person out of one's feed unnoticed.

Promises: nobody learns who blocks or mutes them; a block ends follows both ways; of two people who
follow and block each other at once, the block holds.

Must not know: what is in a feed, who is notified of what.
"""
