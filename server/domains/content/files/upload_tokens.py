"""The signature in an upload's URL: a JWT that names the upload, signed as access tokens are.

What the upload is bound to is in its row; the signature keeps made-up URLs from the database.
"""

from datetime import datetime
from typing import Final, Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from protocol.codec import validate
from protocol.content_errors import BadUpload
from protocol.errors import BadToken, InvalidField
from protocol.files import UploadClaim
from protocol.limits import TOKEN_CHARS_MAX

ALGORITHM: Final = "EdDSA"
AUDIENCE: Final = "playhall-upload"


class Key(Protocol):
    """A key pair and its name."""

    @property
    def kid(self) -> str:
        """What it is called in a token."""

    @property
    def private(self) -> Ed25519PrivateKey:
        """The half that signs."""

    @property
    def public(self) -> Ed25519PublicKey:
        """The half that verifies."""


class Keys(Protocol):
    """The keys that all nodes share."""

    @property
    def newest(self) -> Key:
        """The key that signs."""

    async def find(self, kid: str) -> Key:
        """Find the key that a token names; raise `BadToken`."""


def sign(upload_id: str, key: Key, *, expires_at: datetime) -> str:
    """Write the token of an upload."""
    claims = {"aud": AUDIENCE, "sub": upload_id, "exp": expires_at}
    return jwt.encode(claims, key.private, algorithm=ALGORITHM, headers={"kid": key.kid})


async def upload_in(token: str, keys: Keys) -> str:
    """Read which upload a token is for; raise `BadUpload`."""
    try:
        key = await keys.find(_kid(token))
        claims = jwt.decode(
            token,
            key.public,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            options={"require": ["aud", "sub", "exp"], "strict_aud": True},
        )
        return validate(UploadClaim, {"upload_id": claims["sub"]}).upload_id
    except (jwt.InvalidTokenError, BadToken, InvalidField):
        raise BadUpload from None


def _kid(token: str) -> str:
    if len(token) > TOKEN_CHARS_MAX or not token.isascii():
        raise BadToken
    kid = jwt.get_unverified_header(token).get("kid")
    if not isinstance(kid, str):
        raise BadToken
    return kid
