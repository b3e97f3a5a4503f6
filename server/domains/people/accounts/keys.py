"""Access tokens (RFC 9068, EdDSA) and the keys that sign them, shared by all nodes.

With keys in the configuration their private halves are sealed there; without, they lie in
the clear beside everything else that the database's owner could read.
"""

import logging
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, NamedTuple, Protocol

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from persistence.accounts.store import SessionOwner, StoredSigningKey
from persistence.errors import StartRefused
from persistence.sealing import Seal, Unsealable, read_key_id
from protocol.accounts import Jwk, Jwks
from protocol.errors import BadToken, TokenExpired
from protocol.ids import PlayerId, SessionId, UserId
from protocol.limits import TOKEN_CHARS_MAX
from server.core.clock import Clock, wire_time
from server.core.containment import contain_failures
from server.core.periodic import repeat_every
from server.core.token_times import check_times, untimed

log = logging.getLogger(__name__)

# How often a node looks for keys that another has made, and how soon again it looks for a
# key that it does not know when a token names one.
RELOAD_EVERY_S = 60.0
LOOK_AGAIN_S = 10.0
# How long after a key was replaced a node may still sign with it.
REPLACED_S: Final = 2 * RELOAD_EVERY_S

# Tokens whose signature is remembered, of a kilobyte each.
VERIFIED_MAX: Final = 10_000

SEALED: Final = "sealed:"
_REMADE: Final = (
    "delete its row in playhall_auth.signing_keys. A new key is created, and clients renew their "
    "access tokens by themselves."
)


class KeyStore(Protocol):
    """Where the keys are kept (`persistence.accounts.store.AccountStore`)."""

    async def read_signing_keys(self) -> list[StoredSigningKey]:
        """Read the keys in use, newest first."""

    async def add_first_signing_key(self, key: StoredSigningKey, public_pem: str) -> None:
        """Add a key if there is none."""

    async def rotate_signing_keys(self, key: StoredSigningKey, public_pem: str) -> None:
        """Add a key that signs from now on; all but it and the one before are retired."""

    async def rotate_signing_keys_if_old(
        self, key: StoredSigningKey, public_pem: str, *, age_s: float
    ) -> bool:
        """Rotate if the newest key is older than that; of nodes that try at once, one does."""

    async def retire_expired_signing_keys(self, outlived_s: float) -> None:
        """Retire keys that were replaced longer ago than what they signed was good for."""

    async def retire_signing_keys(self, kids: list[str]) -> None:
        """Retire some keys."""

    async def replace_private_key(self, old: StoredSigningKey, private_pem: str) -> None:
        """Store a key's private half anew."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key pair; `kid` is the thumbprint of its public half (RFC 7638)."""

    kid: str
    private: Ed25519PrivateKey
    public: Ed25519PublicKey


class SigningKeys:
    """The keys in use, held in memory: the newest signs, every one of them verifies."""

    def __init__(
        self, store: KeyStore, *, now: Callable[[], float], seal: Seal | None = None
    ) -> None:
        self._store = store
        self._now = now
        self._seal = seal
        self._keys: dict[str, SigningKey] = {}
        self._looked_at = 0.0

    async def start(self) -> None:
        """Read the keys; the first node that ever starts makes the first one.

        Raises `StartRefused` for one that cannot be read. Later, such a key is left out: it came
        from elsewhere, and tokens of the other keys are as good as before.
        """
        await self._reload(is_start=True)
        if not self._keys:
            await self._store.add_first_signing_key(*self._make())
            await self._reload(is_start=True)

    async def rotate(self) -> None:
        """Sign with a new key from now on; the one before it still verifies, older ones do not.

        To shut out what a stolen key signed, rotate twice.
        """
        await self._store.rotate_signing_keys(*self._make())
        await self._reload()

    async def rotate_and_retire(self, *, rotate_after_s: float, token_s: float) -> None:
        """Rotate a key that is old, and retire those whose last token has expired."""
        if await self._store.rotate_signing_keys_if_old(*self._make(), age_s=rotate_after_s):
            log.info("signing with a new key from now on")
        await self._store.retire_expired_signing_keys(token_s + REPLACED_S)
        await self._reload()

    async def reencrypt(self) -> int:
        """Seal with the newest key what is not; returns how many private halves that were."""
        if (seal := self._seal) is None:
            return 0
        old = [key for key in await self._store.read_signing_keys() if not _is_sealed_by(seal, key)]
        for key in old:
            plain = self._parse(key).private
            await self._store.replace_private_key(key, self._stored(key.kid, plain).private_pem)
        return len(old)

    async def retire_sealed_by(self, key_id: str) -> int:
        """Take keys out of use whose private half a lost key sealed; returns how many."""
        lost = [
            key.kid
            for key in await self._store.read_signing_keys()
            if key.private_pem.startswith(SEALED) and read_key_id(_sealed_bytes(key)) == key_id
        ]
        await self._store.retire_signing_keys(lost)
        return len(lost)

    async def reload_keys(self) -> None:
        """Take up, until cancelled, the keys that other nodes make and retire."""
        await repeat_every(RELOAD_EVERY_S, self._reload, "reading the signing keys")

    @property
    def newest(self) -> SigningKey:
        """The key that signs."""
        return next(iter(self._keys.values()))

    async def find_key(self, kid: str) -> SigningKey:
        """Find the key that a token names; raise `BadToken`."""
        if kid not in self._keys and self._now() - self._looked_at > LOOK_AGAIN_S:
            await self._reload()
        if (key := self._keys.get(kid)) is None:
            raise BadToken
        return key

    def to_jwks(self) -> Jwks:
        """Write the public halves as a JSON web key set."""
        return Jwks(keys=[Jwk(kid=key.kid, x=_public_x(key.public)) for key in self._keys.values()])

    async def _reload(self, *, is_start: bool = False) -> None:
        self._looked_at = self._now()
        keys: dict[str, SigningKey] = {}
        for stored in await self._store.read_signing_keys():
            if is_start:
                keys[stored.kid] = self._parse(stored)
                continue
            with contain_failures(f"reading the signing key {stored.kid}"):
                keys[stored.kid] = self._keys.get(stored.kid) or self._parse(stored)
        if keys or not self._keys:  # without any key nobody could sign in or stay
            self._keys = keys

    def _make(self) -> tuple[StoredSigningKey, str]:
        private = Ed25519PrivateKey.generate()
        public = private.public_key()
        public_pem = public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return self._stored(_thumbprint(public), private), public_pem.decode()

    def _stored(self, kid: str, private: Ed25519PrivateKey) -> StoredSigningKey:
        pem = private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        if self._seal is None:
            return StoredSigningKey(kid, pem.decode())
        sealed = self._seal.seal(pem, about=_about(kid))
        return StoredSigningKey(kid, SEALED + b64encode(sealed).decode())

    def _parse(self, stored: StoredSigningKey) -> SigningKey:
        try:
            private = serialization.load_pem_private_key(self._opened(stored), password=None)
        except ValueError as error:
            raise _damaged(stored) from error
        if not isinstance(private, Ed25519PrivateKey):
            raise _damaged(stored)
        return SigningKey(stored.kid, private, private.public_key())

    def _opened(self, stored: StoredSigningKey) -> bytes:
        if not stored.private_pem.startswith(SEALED):
            return stored.private_pem.encode()
        if self._seal is None:
            raise StartRefused(
                "The signing keys are sealed; set PLAYHALL_SECRET_KEYS to what sealed them."
            )
        try:
            return self._seal.open(_sealed_bytes(stored), about=_about(stored.kid))
        except Unsealable as error:
            raise StartRefused(
                f"The signing key {stored.kid} cannot be read: {error} If it is lost, {_REMADE}"
            ) from error


def _damaged(stored: StoredSigningKey) -> StartRefused:
    return StartRefused(
        f"The signing key {stored.kid} in the database is damaged. Restore it, or {_REMADE}"
    )


def _about(kid: str) -> str:
    return f"signing key {kid}"


def _sealed_bytes(stored: StoredSigningKey) -> bytes:
    return b64decode(stored.private_pem.removeprefix(SEALED))


def _is_sealed_by(seal: Seal, stored: StoredSigningKey) -> bool:
    return stored.private_pem.startswith(SEALED) and seal.is_newest(_sealed_bytes(stored))


def _thumbprint(public: Ed25519PublicKey) -> str:
    canonical = f'{{"crv":"Ed25519","kty":"OKP","x":"{_public_x(public)}"}}'
    return _base64url(sha256(canonical.encode()).digest())


def _public_x(public: Ed25519PublicKey) -> str:
    return _base64url(public.public_bytes_raw())


def _base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


ISSUER = "playhall"
AUDIENCE = "playhall"
ALGORITHM = "EdDSA"
TYPE = "at+jwt"

_REQUIRED = ["iss", "aud", "sub", "pid", "sid", "name", "iat", "exp"]


class TokenClaims(NamedTuple):
    """What a token says: whose it is, and until when (seconds since 1970, UTC)."""

    holder: SessionOwner
    expires_at: float


def sign_access_token(
    holder: SessionOwner, key: SigningKey, *, now: datetime, lifetime_s: int
) -> str:
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


def read_kid(token: str) -> str:
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


def verify_access_token(token: str, key: SigningKey, *, now: float) -> TokenClaims:
    """Check signature, issuer, audience and time; raise `TokenExpired` or `BadToken`."""
    try:
        claims = jwt.decode(
            token,
            key.public,
            algorithms=[ALGORITHM],
            issuer=ISSUER,
            audience=AUDIENCE,
            options=untimed(*_REQUIRED, strict_aud=True),
        )
        check_times(claims, now)
    except jwt.ExpiredSignatureError:
        raise TokenExpired from None
    except jwt.InvalidTokenError:
        raise BadToken from None
    holder = SessionOwner(
        SessionId(claims["sid"]), UserId(claims["sub"]), PlayerId(claims["pid"]), claims["name"]
    )
    return TokenClaims(holder, float(claims["exp"]))


class TokenVerifier:
    """Verifies access tokens; remembers those whose signature it has checked."""

    def __init__(self, keys: SigningKeys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        # By the token's hash, so that memory holds no token that could be used.
        self._verified: OrderedDict[bytes, tuple[SigningKey, TokenClaims]] = OrderedDict()

    async def verify(self, token: str) -> TokenClaims:
        """Say what a token claims; raise `TokenExpired` or `BadToken`."""
        digest = sha256(token.encode("utf-8", "surrogatepass")).digest()
        now = self._clock.now().timestamp()
        if (known := self._verified.get(digest)) is not None:
            key, claims = known
            is_unexpired = claims.expires_at > now
            if is_unexpired and await self._keys.find_key(key.kid) is key:  # or it was retired
                return claims
        key = await self._keys.find_key(read_kid(token))
        claims = verify_access_token(token, key, now=now)
        self._verified[digest] = key, claims
        self._verified.move_to_end(digest)
        if len(self._verified) > VERIFIED_MAX:
            self._verified.popitem(last=False)
        return claims


class ScopedToken(NamedTuple):
    """A token, and until when it is good (ISO 8601, UTC)."""

    token: str
    expires_at: str


class ScopedTokens:
    """Writes and reads short-lived tokens of one kind, for example `peer`.

    What one is for is its type and its audience, so that none is good for anything else.
    """

    def __init__(self, kind: str, *, keys: SigningKeys, clock: Clock, lifetime_s: float) -> None:
        self._type = f"{kind}+jwt"
        self._audience = f"{ISSUER}-{kind}"
        self._keys = keys
        self._clock = clock
        self._lifetime_s = lifetime_s

    def write(self, claims: Mapping[str, str]) -> ScopedToken:
        """Sign what a token says."""
        expires_at = self._clock.now() + timedelta(seconds=self._lifetime_s)
        key = self._keys.newest
        token = jwt.encode(
            {**claims, "iss": ISSUER, "aud": self._audience, "exp": expires_at},
            key.private,
            algorithm=ALGORITHM,
            headers={"kid": key.kid, "typ": self._type},
        )
        return ScopedToken(token, wire_time(expires_at))

    async def read(self, token: str) -> Mapping[str, str]:
        """Give what a token says; raise `BadToken` for any that is not a good one of this kind."""
        if len(token) > TOKEN_CHARS_MAX or not token.isascii():
            raise BadToken
        try:
            key = await self._keys.find_key(self._kid(token))
            claims: Mapping[str, str] = jwt.decode(
                token,
                key.public,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                audience=self._audience,
                options=untimed("iss", "aud", "exp", strict_aud=True),
            )
            check_times(claims, self._clock.now().timestamp())
        except jwt.InvalidTokenError:
            raise BadToken from None
        return claims

    def _kid(self, token: str) -> str:
        header = jwt.get_unverified_header(token)
        kid = header.get("kid")
        if header.get("typ") != self._type or not isinstance(kid, str):
            raise BadToken
        return kid
