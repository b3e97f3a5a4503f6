"""Creations: what people make, publish, archive and remix.

For: the life cycle from draft to archived; files through signed upload URLs; remixes with
attribution; views, once per viewer and day.

Promises: only its owner changes a creation, and counters are nobody's to set; a remix keeps to
what its original allows; a file is readable by those who may see its creation; whoever may not see
a creation is told that there is none.

Must not know: feeds, likes and comments, how files are stored.
"""
