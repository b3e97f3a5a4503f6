"""What is done over and over: signatures are renewed, deltas made."""

import asyncio
import logging
from hashlib import sha256
from typing import Final

from persistence.objects import ObjectStorage
from persistence.packages.store import DueDelta, PackageStore
from protocol.ids import new_id
from server.core.clock import Clock
from server.core.containment import contain_failures
from server.core.periodic import repeat_every
from server.domains.progression.packages.deltas import make_delta
from server.domains.progression.packages.service import ManifestService, MetadataSigner

log = logging.getLogger(__name__)

SIGN_EVERY_S: Final = 60.0
DELTA_EVERY_S: Final = 5.0
# In which a node that makes a delta is alone with it; beyond, it is taken for dead.
DELTA_LEASE_S: Final = 600.0


class PackageMaintenance:
    """The sweeps over packages. Any number of nodes may sweep at once."""

    def __init__(
        self,
        *,
        store: PackageStore,
        objects: ObjectStorage,
        signer: MetadataSigner,
        manifests: ManifestService,
        clock: Clock,
        delta_bytes_max: int,
    ) -> None:
        self._store = store
        self._objects = objects
        self._signer = signer
        self._manifests = manifests
        self._clock = clock
        self._delta_bytes_max = delta_bytes_max
        self.deltas_made = 0

    async def run(self) -> None:
        """Sweep for as long as the server lives."""
        async with asyncio.TaskGroup() as group:
            group.create_task(
                repeat_every(SIGN_EVERY_S, self.renew, "content: renewing signatures", at_once=True)
            )
            group.create_task(repeat_every(DELTA_EVERY_S, self.make_due, "content: making deltas"))

    async def renew(self) -> bool:
        """Sign what would expire; says whether there was any. Without a release there is nothing.

        Whoever holds the lock signs; the next node finds nothing due.
        """
        newest = await self._store.read_newest_metadata()
        now = self._clock.now()
        if not any(self._signer.is_due(each, now) for each in newest.values()):
            return False
        async with self._store.begin_release() as work:
            return await self._signer.sign(work, released=None)

    async def make_due(self) -> int:
        """Make the deltas that are due, one after the other; says how many were tried."""
        tried = 0
        while (due := await self._store.take_due_delta(lease_s=DELTA_LEASE_S)) is not None:
            tried += 1
            if due.state == "failed":
                log.error("the delta of package %s was given up", due.package_id)
                continue
            with contain_failures(f"making the delta of package {due.package_id}"):
                await self._make(due)
            await self._manifests.announce()
        return tried

    async def _make(self, due: DueDelta) -> None:
        package, parent = (
            await self._store.read(due.package_id),
            await self._store.read(due.parent_id),
        )
        if max(package.size, parent.size) > self._delta_bytes_max or package.status != "released":
            await self._store.finish_delta(due, "useless")
            return
        assert package.key is not None
        assert parent.key is not None, "what was released has its bytes"
        old, new = (
            await self._objects.read_whole(parent.key),
            await self._objects.read_whole(package.key),
        )
        delta = await asyncio.to_thread(make_delta, old, new)
        if delta is None:
            await self._store.finish_delta(due, "useless")
            return
        key = f"content/{package.name}/{due.package_id}/delta-{new_id()}"
        if not await self._store.set_delta_key(due, key):
            return
        await self._objects.put(key, delta)
        checksum = f"sha256:{sha256(delta).hexdigest()}"
        if not await self._store.finish_delta(due, "made", size=len(delta), checksum=checksum):
            await self._objects.delete(key)
            return
        self.deltas_made += 1
