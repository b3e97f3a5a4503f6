"""Subscriptions: tiers that people pay for with Stripe.

For: the checkout and the billing portal, events of Stripe, and what follows for the tier.

Promises: an event only says that something changed; what it is now is fetched from Stripe. So
forged, repeated and late events do no harm, and one that could not be followed is answered so that
Stripe repeats it. A tier ends in time even if no event comes.

Must not know: what a tier is good for.
"""
