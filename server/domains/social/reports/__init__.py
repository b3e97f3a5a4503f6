"""Reports: what people report, and what moderators decide about it.

For: reports of creations, comments, people and companions' messages; the moderation queue;
decisions; what is featured.

Promises: a person reports what they can see, once while it is open; a decision is made once, for
all open reports of the same thing, and is on record; reporters stay unknown to those reported.

Must not know: how creations and comments are listed.
"""
