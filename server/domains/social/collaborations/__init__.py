"""Collaborations: several people on one creation, and who of them is there now.

For: inviting people to a draft, as editors or viewers; accepting, leaving, removing; seeing over
the websocket who is in a creation, on any node, and what they have in hand.

Promises: an invitation allows nothing until it is accepted; blocked people cannot be invited, and a
block ends collaborations; whoever is removed is in the creation no longer, within seconds.

Must not know: what a creation says, how it is changed.
"""
