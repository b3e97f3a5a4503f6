"""Signaling: where peers find each other, as PeerJS clients expect it.

For: `/peerjs/…`: ids, the websocket over which offers, answers and candidates are passed on,
what waits for a peer that is not there yet.

Promises: an unmodified `peerjs` client works; `src` is who really sent it; everything that is
kept for somebody is bounded, and whoever sends to nobody is notified.

Must not know: what peers talk about, lobbies, games.
"""
