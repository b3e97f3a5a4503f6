"""Access tokens: JWTs (RFC 7519) with the profile of RFC 9068, signed with EdDSA."""

from datetime import datetime, timedelta
from typing import NamedTuple

import jwt

from persistence.accounts import Holder
from protocol.errors import BadToken, TokenExpired
from protocol.ids import PlayerId, SessionId, UserId
from protocol.limits import TOKEN_CHARS_MAX
from server.domains.accounts.keys import Key

ISSUER = "playhall"
AUDIENCE = "playhall"
ALGORITHM = "EdDSA"
TYPE = "at+jwt"

_REQUIRED = ["iss", "aud", "sub", "pid", "sid", "name", "iat", "exp"]


class Claims(NamedTuple):
    """What a token says: whose it is, and until when (seconds since 1970, UTC)."""

    holder: Holder
    expires_at: float


def sign(holder: Holder, key: Key, *, now: datetime, lifetime_s: int) -> str:
    """Write an access token."""
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": holder.user_id,
        "pid": holder.player_id,
        "sid": holder.session_id,
        "name": holder.display_name,
        "iat": now,
        "exp": now + timedelta(seconds=lifetime_s),
    }
    headers = {"kid": key.kid, "typ": TYPE}
    return jwt.encode(claims, key.private, algorithm=ALGORITHM, headers=headers)


def kid_of(token: str) -> str:
    """Read which key a token names, before anything of it is believed; raise `BadToken`."""
    if len(token) > TOKEN_CHARS_MAX or not token.isascii():
        raise BadToken
    try:
        header = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError:
        raise BadToken from None
    kid = header.get("kid")
    if header.get("typ") != TYPE or header.get("alg") != ALGORITHM or not isinstance(kid, str):
        raise BadToken
    return kid


def verify(token: str, key: Key) -> Claims:
    """Check signature, issuer, audience and time; raise `TokenExpired` or `BadToken`."""
    try:
        claims = jwt.decode(
            token,
            key.public,
            algorithms=[ALGORITHM],
            issuer=ISSUER,
            audience=AUDIENCE,
            options={"require": _REQUIRED, "strict_aud": True},
        )
    except jwt.ExpiredSignatureError:
        raise TokenExpired from None
    except jwt.InvalidTokenError:
        raise BadToken from None
    holder = Holder(
        SessionId(claims["sid"]), UserId(claims["sub"]), PlayerId(claims["pid"]), claims["name"]
    )
    return Claims(holder, float(claims["exp"]))
