"""Feed: lists of what people published, search, and what is new.

For: the feed of those whom one follows; public, featured, by type, by tag, by person; full-text
search; being told of new creations over the websocket.

Promises: pages never repeat or skip what was there all the time; nobody is shown, or told of, what
a block hides; the anonymous public feed is at most five minutes old, and up to date once a
creation was published, changed or taken off.

Must not know: how creations are made and liked.
"""
