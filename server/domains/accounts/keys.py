"""The keys that sign access tokens: Ed25519, shared by all nodes through the database."""

import logging
from asyncio import sleep
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from persistence.accounts import StoredKey
from protocol.account import Jwk, Jwks
from protocol.errors import BadToken, Overloaded, Unavailable

log = logging.getLogger(__name__)

# How often a node looks for keys that another has made, and how soon again it looks for a
# key that it does not know when a token names one.
RELOAD_EVERY_S = 60.0
LOOK_AGAIN_S = 10.0


class KeyStore(Protocol):
    """Where the keys are kept (`persistence.accounts.AccountStore`)."""

    async def signing_keys(self) -> list[StoredKey]:
        """Read the keys in use, newest first."""

    async def add_first_key(self, key: StoredKey, public_pem: str) -> None:
        """Add a key if there is none."""

    async def rotate_keys(self, key: StoredKey, public_pem: str) -> None:
        """Add a key that signs from now on; all but it and the one before are retired."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key pair; `kid` is the thumbprint of its public half (RFC 7638)."""

    kid: str
    private: Ed25519PrivateKey
    public: Ed25519PublicKey


class Keys:
    """The keys in use, held in memory: the newest signs, every one of them verifies."""

    def __init__(self, store: KeyStore, *, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        self._keys: dict[str, Key] = {}
        self._looked_at = 0.0

    async def start(self) -> None:
        """Read the keys; the first node that ever starts makes the first one."""
        await self._reload()
        if not self._keys:
            await self._store.add_first_key(*_make())
            await self._reload()

    async def rotate(self) -> None:
        """Sign with a new key from now on; the one before it still verifies, older ones do not.

        To shut out what a stolen key signed, rotate twice.
        """
        await self._store.rotate_keys(*_make())
        await self._reload()

    async def follow(self) -> None:
        """Take up, for ever, the keys that other nodes make and retire."""
        while True:
            await sleep(RELOAD_EVERY_S)
            try:
                await self._reload()
            except (Unavailable, Overloaded):
                log.warning("the signing keys could not be read again; the old ones stay in use")

    @property
    def newest(self) -> Key:
        """The key that signs."""
        return next(iter(self._keys.values()))

    async def find(self, kid: str) -> Key:
        """Find the key that a token names; raise `BadToken`."""
        if kid not in self._keys and self._now() - self._looked_at > LOOK_AGAIN_S:
            await self._reload()
        if (key := self._keys.get(kid)) is None:
            raise BadToken
        return key

    def published(self) -> Jwks:
        """Write the public halves as a JSON web key set."""
        return Jwks(keys=[Jwk(kid=key.kid, x=_public_x(key.public)) for key in self._keys.values()])

    async def _reload(self) -> None:
        self._looked_at = self._now()
        self._keys = {stored.kid: _parse(stored) for stored in await self._store.signing_keys()}


def _make() -> tuple[StoredKey, str]:
    private = Ed25519PrivateKey.generate()
    public = private.public_key()
    private_pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public_pem = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return StoredKey(_thumbprint(public), private_pem.decode()), public_pem.decode()


def _parse(stored: StoredKey) -> Key:
    private = serialization.load_pem_private_key(stored.private_pem.encode(), password=None)
    if not isinstance(private, Ed25519PrivateKey):
        raise TypeError(f"signing key {stored.kid} is not an Ed25519 key")
    return Key(stored.kid, private, private.public_key())


def _thumbprint(public: Ed25519PublicKey) -> str:
    canonical = f'{{"crv":"Ed25519","kty":"OKP","x":"{_public_x(public)}"}}'
    return _base64url(sha256(canonical.encode()).digest())


def _public_x(public: Ed25519PublicKey) -> str:
    return _base64url(public.public_bytes_raw())


def _base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
