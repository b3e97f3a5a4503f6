"""When a JWT is good, by the time that all nodes share.

The library compares with the machine's own clock, which may be another than that of the node that
issued the token. So it is told to check the signature, and the times are checked here.
"""

from collections.abc import Mapping
from math import isfinite
from typing import Any

import jwt
from jwt.types import Options


def untimed(*require: str, strict_aud: bool = False) -> Options:
    """Give the options of `jwt.decode` with which it does not look at times."""
    return {
        "require": list(require),
        "strict_aud": strict_aud,
        "verify_exp": False,
        "verify_iat": False,
        "verify_nbf": False,
    }


def check_times(claims: Mapping[str, Any], now: float, *, leeway_s: float = 0.0) -> None:
    """Raise `jwt.InvalidTokenError` for a token that is not good at a time, in seconds since 1970.

    Of a token that is over it is `jwt.ExpiredSignatureError`.
    """
    for name in ("exp", "nbf", "iat"):
        at = claims.get(name)
        if at is None:
            continue
        if isinstance(at, bool) or not isinstance(at, int | float) or not isfinite(at):
            raise jwt.DecodeError(f"{name} is no number")
        if name == "exp":
            if at <= now - leeway_s:
                raise jwt.ExpiredSignatureError("it has expired")
        elif at > now + leeway_s:
            raise jwt.ImmatureSignatureError(f"{name} is in the future")
