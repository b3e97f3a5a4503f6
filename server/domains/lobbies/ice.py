"""Ways around NAT: STUN addresses, and TURN with credentials that expire (coturn's REST scheme)."""

import hmac
from base64 import b64encode
from datetime import datetime
from typing import NamedTuple

from persistence.refusals import StartRefused
from protocol.ids import PlayerId
from protocol.peeraccess import ICE_URLS_MAX, StunServer, TurnServer
from server.config import Config, names_in


class Ice(NamedTuple):
    """What the operator runs; `turn_secret` is the `static-auth-secret` of the TURN servers."""

    stun_urls: tuple[str, ...] = ()
    turn_urls: tuple[str, ...] = ()
    turn_secret: str = ""
    turn_ttl_s: int = 3600

    def servers(self, player_id: PlayerId, now: datetime) -> list[TurnServer | StunServer]:
        """List them for somebody; what they get for TURN is good for `turn_ttl_s`."""
        servers: list[TurnServer | StunServer] = []
        if self.stun_urls:
            servers.append(StunServer(urls=list(self.stun_urls)))
        if self.turn_urls:
            username = f"{int(now.timestamp()) + self.turn_ttl_s}:{player_id}"
            credential = turn_password(self.turn_secret, username)
            urls = list(self.turn_urls)
            servers.append(TurnServer(urls=urls, username=username, credential=credential))
        return servers


def ice_by(config: Config) -> Ice:
    """Read what the operator runs; refuse to start with what no browser would take."""
    secret = config.turn_secret.get_secret_value() if config.turn_secret else ""
    turn_urls = _urls("PLAYHALL_TURN_URLS", config.turn_urls, ("turn:", "turns:"))
    if bool(turn_urls) != bool(secret):
        raise StartRefused("Set both PLAYHALL_TURN_URLS and PLAYHALL_TURN_SECRET, or neither.")
    stun_urls = _urls("PLAYHALL_STUN_URLS", config.stun_urls, ("stun:", "stuns:"))
    return Ice(stun_urls, turn_urls, secret, config.turn_ttl_s)


def turn_password(secret: str, username: str) -> str:
    """Give what a TURN server that shares the secret expects of a user name."""
    return b64encode(hmac.digest(secret.encode(), username.encode(), "sha1")).decode()


def _urls(setting: str, listed: str, schemes: tuple[str, ...]) -> tuple[str, ...]:
    urls = names_in(listed)
    if wrong := next((url for url in urls if not url.startswith(schemes)), None):
        raise StartRefused(f"{setting}: {wrong} must begin with {' or '.join(schemes)}.")
    if len(urls) > ICE_URLS_MAX:
        raise StartRefused(f"{setting}: list at most {ICE_URLS_MAX}.")
    return urls
