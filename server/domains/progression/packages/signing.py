"""Metadata of The Update Framework: what is released, signed so that clients need not trust us.

Four roles sign: *root* says which keys count, *targets* what is released, *snapshot* which targets
are the newest, *timestamp* which snapshot is, for a day. So a client notices what was changed, an
older state (rollback), and that it is kept from a newer one (freeze).

Each role has one key, made when something is first released and sealed in the database. Whoever
calls holds the lock of `PackageStore.begin_release`. What runs here blocks.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, cast

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from persistence.packages.store import SignedMetadata, SignedRole, SigningKey, StoredPackage
from persistence.sealing import Seal
from server.domains.progression.packages.lifetimes import is_due, key_seal_context
from server.domains.progression.packages.targets import target_path

ROLES: Final[tuple[SignedRole, ...]] = ("root", "targets", "snapshot", "timestamp")


@dataclass(slots=True)
class SignedRound:
    """What a round of signing made."""

    metadata: list[SignedMetadata] = field(default_factory=list)
    # New keys, with those that they take the place of.
    keys: list[tuple[SigningKey | None, SigningKey]] = field(default_factory=list)


class SigningRound:
    """One round of signing, from the newest metadata to what takes its place."""

    def __init__(
        self,
        *,
        seal: Seal,
        keys: Mapping[SignedRole, SigningKey],
        newest: Mapping[SignedRole, SignedMetadata],
        now: datetime,
        lifetimes_s: Mapping[SignedRole, int],
    ) -> None:
        self._seal = seal
        self._keys = dict(keys)
        self._newest = newest
        self._now = now.replace(microsecond=0)
        self._lifetimes = lifetimes_s
        self._signers: dict[SignedRole, CryptoSigner] = {}
        self._signed = SignedRound()
        self._resign: set[SignedRole] = set()

    def sign(
        self, released: Iterable[StoredPackage] | None, *, rotate: SignedRole | None = None
    ) -> SignedRound:
        """Sign what has changed and what is due; None leaves the list of what is released as it is.

        `rotate` gives a role a new key.
        """
        root = self._root(rotate)
        targets = self._parsed("targets", Targets) or Targets()
        if released is not None:
            listed = {each.path: each for each in map(_target, released)}
            if listed != targets.targets:
                targets.targets = listed
                self._resign.add("targets")
        if self._is_due("targets"):
            self._put("targets", targets, root)
        snapshot = self._parsed("snapshot", Snapshot) or Snapshot()
        if snapshot.meta["targets.json"].version != targets.version or self._is_due("snapshot"):
            snapshot.meta["targets.json"] = MetaFile(version=targets.version)
            self._put("snapshot", snapshot, root)
        timestamp = self._parsed("timestamp", Timestamp) or Timestamp()
        if timestamp.snapshot_meta.version != snapshot.version or self._is_due("timestamp"):
            timestamp.snapshot_meta = MetaFile(version=snapshot.version)
            self._put("timestamp", timestamp, root)
        return self._signed

    def _root(self, rotate: SignedRole | None) -> Root:
        root: Root | None = self._parsed("root", Root)
        before: list[CryptoSigner] = []
        if root is None:
            root = Root(consistent_snapshot=True)
            for role in ROLES:
                self._add_key(root, role)
            self._resign.add("root")
        elif rotate is not None:
            if rotate == "root":
                before.append(self._signer("root"))  # clients trust the new root because of it
            root.revoke_key(self._keys[rotate].key_id, rotate)
            self._add_key(root, rotate)
            self._resign |= {"root", rotate}
        if self._is_due("root"):
            self._put("root", root, root, *before)
        return root

    def _add_key(self, root: Root, role: SignedRole) -> None:
        signer = CryptoSigner.generate_ed25519()
        root.add_key(signer.public_key, role)
        key_id = signer.public_key.keyid
        sealed = self._seal.seal(signer.private_bytes, about=key_seal_context(key_id))
        made = SigningKey(role, key_id, sealed)
        self._signed.keys.append((self._keys.get(role), made))
        self._keys[role], self._signers[role] = made, signer

    def _signer(self, role: SignedRole) -> CryptoSigner:
        if role not in self._signers:
            key = self._keys[role]
            pem = self._seal.open(key.sealed, about=key_seal_context(key.key_id))
            private = serialization.load_pem_private_key(pem, password=None)
            self._signers[role] = CryptoSigner(cast("Ed25519PrivateKey", private))
        return self._signers[role]

    def _parsed(self, role: SignedRole, kind: type[Any]) -> Any:
        newest = self._newest.get(role)
        if newest is None:
            return None
        signed = Metadata.from_bytes(newest.body).signed
        assert isinstance(signed, kind)
        return signed

    def _is_due(self, role: SignedRole) -> bool:
        newest = self._newest.get(role)
        return (
            role in self._resign
            or newest is None
            or is_due(newest, self._lifetimes[role], self._now)
        )

    def _put(self, role: SignedRole, signed: Any, root: Root, *others: CryptoSigner) -> None:
        newest = self._newest.get(role)
        signed.version = 1 if newest is None else newest.version + 1
        signed.expires = self._now + timedelta(seconds=self._lifetimes[role])
        metadata: Metadata[Any] = Metadata(signed)
        for signer in (self._signer(role), *others):
            metadata.sign(signer, append=True)
        assert root.get_delegated_role(role).keyids == [self._keys[role].key_id]
        body = metadata.to_bytes()
        self._signed.metadata.append(SignedMetadata(role, signed.version, body, signed.expires))


def _target(package: StoredPackage) -> TargetFile:
    hashes = {"sha256": package.checksum.removeprefix("sha256:")}
    custom = {"custom": {"package_id": package.package_id}}
    return TargetFile(package.size, hashes, target_path(package), custom)
