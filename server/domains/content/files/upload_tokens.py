"""The signature in an upload's URL: a JWT that names the upload, signed as access tokens are.

What the upload is bound to is in its row; the signature keeps made-up URLs from the database.
"""

from datetime import datetime
from typing import Final

import jwt

from protocol.codec import validate
from protocol.errors import BadToken, InvalidField
from protocol.files import BadUpload, UploadClaim
from protocol.limits import TOKEN_CHARS_MAX
from server.domains.interfaces import TokenKey, TokenKeys

ALGORITHM: Final = "EdDSA"
AUDIENCE: Final = "playhall-upload"


def sign(upload_id: str, key: TokenKey, *, expires_at: datetime) -> str:
    """Write the token of an upload."""
    claims = {"aud": AUDIENCE, "sub": upload_id, "exp": expires_at}
    return jwt.encode(claims, key.private, algorithm=ALGORITHM, headers={"kid": key.kid})


async def upload_in(token: str, keys: TokenKeys) -> str:
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
