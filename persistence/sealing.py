"""Encryption at rest: what is personal is sealed, and found by a keyed hash.

A sealed value names the key that opens it, so that keys can be changed one value at a time::

    0x01 | length of the key's id | id | nonce (12 bytes) | AES-256-GCM ciphertext and tag

What it is `about` (`email of 3f…`) is authenticated with it: a value that was moved to another
row does not open. Each key is the root of others, by HKDF: one encrypts, one indexes, one signs
what nodes send each other.
"""

import binascii
import hmac
import secrets
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from persistence.errors import StartRefused
from persistence.private_files import make_folder, write_new_file

KEY_BYTES: Final = 32
KEYS_MAX: Final = 16
_VERSION: Final = 1
_NONCE_BYTES: Final = 12
_ID_BYTES_MAX: Final = 64
SETTING: Final = "PLAYHALL_SECRET_KEYS"


class Unsealable(Exception):
    """A sealed value was damaged or moved, or its key is not among those configured."""


class SealingKey(NamedTuple):
    """A key with the id that sealed values name it by."""

    id: str
    secret: bytes

    @classmethod
    def generate(cls) -> Self:
        """Make a random one."""
        return cls(secrets.token_hex(4), secrets.token_bytes(KEY_BYTES))

    @property
    def to_setting(self) -> str:
        """Write it as the configuration has it."""
        return f"{self.id}:{b64encode(self.secret).decode()}"


class Seal:
    """Seals with the newest key and opens with any; `load` is asked once, when first needed.

    `source` names the setting or the file that has the keys. `is_missing` says whether there are
    none yet, so that `load` would make one.
    """

    def __init__(
        self,
        load: Callable[[], Sequence[SealingKey]],
        *,
        source: str = SETTING,
        is_missing: Callable[[], bool] = lambda: False,
    ) -> None:
        self._load = load
        self.source = source
        self.is_missing = is_missing

    @cached_property
    def _keys(self) -> list[SealingKey]:
        return list(self._load())

    @cached_property
    def _ciphers(self) -> dict[bytes, AESGCM]:
        return {key.id.encode(): AESGCM(_derive(key, "seal")) for key in self._keys}

    @cached_property
    def _index_keys(self) -> list[bytes]:
        return [_derive(key, "index") for key in self._keys]

    def require_keys(self) -> None:
        """Read the keys now; raise `StartRefused` if that fails."""
        assert self._ciphers
        assert self._index_keys

    def seal(self, plain: bytes, *, about: str) -> bytes:
        """Encrypt with the newest key."""
        key_id = self._keys[0].id.encode()
        nonce = secrets.token_bytes(_NONCE_BYTES)
        ciphertext = self._ciphers[key_id].encrypt(nonce, plain, about.encode())
        return bytes([_VERSION, len(key_id)]) + key_id + nonce + ciphertext

    def open(self, sealed: bytes, *, about: str) -> bytes:
        """Decrypt; raise `Unsealable`."""
        key_id, nonce, ciphertext = _parts(sealed)
        if (cipher := self._ciphers.get(key_id)) is None:
            name = key_id.decode("utf-8", "replace")
            raise Unsealable(f"There is no key {name!r} in {self.source}; add it again.")
        try:
            return cipher.decrypt(nonce, ciphertext, about.encode())
        except InvalidTag:
            raise Unsealable(f"The sealed {about} was damaged or moved.") from None

    def opens(self, sample: "SealedSample") -> bool:
        """Say whether a value can be opened."""
        try:
            self.open(sample.sealed, about=sample.about)
        except Unsealable:
            return False
        return True

    def has_key_of(self, sealed: bytes) -> bool:
        """Say whether the key that a value names is there, by its id."""
        return _parts(sealed)[0] in self._ciphers

    def is_newest(self, sealed: bytes) -> bool:
        """Say whether a value is sealed with the newest key."""
        return _parts(sealed)[0] == self._keys[0].id.encode()

    def derive_keys(self, purpose: str) -> list[bytes]:
        """Derive a key for another purpose from each key, the newest first."""
        return [_derive(key, purpose) for key in self._keys]

    def blind_indexes(self, text: str, *, about: str) -> list[bytes]:
        """Hash a text under every key, the newest first: the first is stored, any may be found."""
        said = f"{about}\0{text}".encode()
        return [hmac.digest(key, said, sha256) for key in self._index_keys]


def make_seal(keys_text: str, *, key_file: Path, may_make: bool) -> Seal:
    """Seal with the keys `id:base64,…` of the configuration, newest first.

    Without any, with the one in `key_file`, which is made if that is allowed. What is wrong
    with them is said, as `StartRefused`, when they are first needed.
    """
    if keys_text:
        return Seal(lambda: parse_keys(keys_text))
    return Seal(
        lambda: _keys_in(key_file, make=may_make),
        source=str(key_file),
        is_missing=lambda: not key_file.exists(),
    )


class SealedSample(NamedTuple):
    """A value that is stored, and what it is about."""

    sealed: bytes
    about: str


def require_opens(seal: Seal, samples: Iterable[SealedSample], *, what: str) -> None:
    """Raise `StartRefused` if a key is missing that sealed some of `what`, or is another one.

    One value that was damaged is no reason, as long as its key opens another one.
    """
    by_key: dict[str, list[SealedSample]] = {}
    for sample in samples:
        by_key.setdefault(read_key_id(sample.sealed), []).append(sample)
    if by_key and seal.is_missing():
        named = " and ".join(f"key {key_id!r}" for key_id in by_key)
        raise StartRefused(
            f"The key file {seal.source} is missing, and {named} sealed {what}. Restore the file "
            f"from a backup. {_lost(by_key)}"
        )
    for key_id, sealed in by_key.items():
        if any(seal.opens(sample) for sample in sealed):
            continue
        if seal.has_key_of(sealed[0].sealed):
            raise StartRefused(
                f"The key {key_id!r} in {seal.source} is not the one that sealed {what}: it has "
                f"the same id and another secret. Put the right one back. {_lost([key_id])}"
            )
        raise StartRefused(
            f"{seal.source} has no key {key_id!r}, which sealed {what}. Add it again, behind the "
            f"newest; a key from secret.key is written the same way. {_lost([key_id])}"
        )


def _lost(key_ids: Iterable[str]) -> str:
    commands = " and ".join(f"`playhall keys forget {key_id}`" for key_id in key_ids)
    return f"If it is lost for good, {commands} deletes what can no longer be opened."


def read_key_id(sealed: bytes) -> str:
    """Read the id of the key that a value names; raise `Unsealable` if it is no sealed value."""
    return _parts(sealed)[0].decode("utf-8", "replace")


def parse_keys(text: str, *, source: str = SETTING) -> list[SealingKey]:
    """Read `id:base64,…`; raise `StartRefused` with what is wrong."""
    keys = [_parse_key(part.strip(), source) for part in text.split(",") if part.strip()]
    if not 1 <= len(keys) <= KEYS_MAX or len({key.id for key in keys}) < len(keys):
        raise StartRefused(f"{source} must name 1 to {KEYS_MAX} keys, each id once.")
    return keys


def _parse_key(text: str, source: str) -> SealingKey:
    key_id, _, encoded = text.partition(":")
    try:
        secret = b64decode(encoded, validate=True)
    except binascii.Error:
        secret = b""
    if not 1 <= len(key_id.encode()) <= _ID_BYTES_MAX or len(secret) != KEY_BYTES:
        raise StartRefused(
            f"{source} must be id:base64,… with {KEY_BYTES} bytes a key; "
            "`playhall keys new` makes one."
        )
    return SealingKey(key_id, secret)


def _keys_in(file: Path, *, make: bool) -> list[SealingKey]:
    if not make and not file.exists():
        raise StartRefused(
            "PLAYHALL_SECRET_KEYS is not set, and emails must not be stored in the clear; "
            "set it to what `playhall keys new` prints, the same on every node."
        )
    if not file.exists():
        _write_new(file)
    try:
        return parse_keys(file.read_text("utf-8"), source=str(file))
    except (StartRefused, UnicodeDecodeError) as error:
        raise StartRefused(
            f"The key file {file} is damaged; restore it from a backup. If there is none, delete "
            "it: a new one is made, unless people sign in with what this one sealed."
        ) from error


def _write_new(file: Path) -> None:
    """Make the file with its contents at once, so that of two processes one's key counts."""
    make_folder(file.parent)
    write_new_file(file, SealingKey.generate().to_setting.encode("ascii"))


def _parts(sealed: bytes) -> tuple[bytes, bytes, bytes]:
    if len(sealed) < 2 or sealed[0] != _VERSION:
        raise Unsealable("This is not a sealed value.")
    nonce_at = 2 + sealed[1]
    text_at = nonce_at + _NONCE_BYTES
    return sealed[2:nonce_at], sealed[nonce_at:text_at], sealed[text_at:]


def _derive(key: SealingKey, purpose: str) -> bytes:
    info = f"playhall {purpose}".encode()
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(key.secret)
