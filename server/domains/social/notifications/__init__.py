"""Notifications: what people are told, and how it reaches them.

For: lists in groups, marking, preferences; live delivery over the websocket; notifying many people
of a new creation or an announcement; a daily email for those who want it.

Promises: a notification is delivered to each connection that watches, in the order of `seq`; a
connection that comes back misses none; nobody is notified of the same thing twice, whichever node
dies; nobody is mailed more than once a day.

Must not know: what causes notifications. Triggers of the database write them, in the transaction of
what happened.
"""
