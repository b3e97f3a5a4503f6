"""Reactions: likes of creations and comments, and threads of comments.

For: liking and taking it back; comments, replies, mentions, edits and deletions.

Promises: a like counts once, however often it is sent; threads have a bounded depth; replies stay
when what they reply to is deleted; whom a block separates never see each other's comments.

Must not know: how creations are made, who is notified of what.
"""
