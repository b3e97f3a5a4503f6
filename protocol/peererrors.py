"""The errors about games between peers. Flat children, as in `errors`."""

from protocol.errors import PlayhallError


class NoSignaling(PlayhallError):
    """This server passes nothing on between peers; play a lobby of mode `server`."""

    code, status = "no_signaling", 404
