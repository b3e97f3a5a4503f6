"""What is done over and over: replays are built, objects deleted, losses found."""

import asyncio
import logging
from typing import Final

from persistence.files.store import FileStore
from persistence.objects import ObjectStorage
from server.core.periodic import repeat_every
from server.domains.content.files.replays import Replays

log = logging.getLogger(__name__)

BUILD_EVERY_S: Final = 2.0
CLEAR_EVERY_S: Final = 30.0
CHECK_EVERY_S: Final = 60.0
CLEARED_AT_ONCE: Final = 50
CHECKED_AT_ONCE: Final = 100
CHECKED_AGAIN_S: Final = 7 * 86_400.0


class FileMaintenance:
    """The sweeps over files. Any number of nodes may sweep at once."""

    def __init__(self, *, store: FileStore, objects: ObjectStorage, replays: Replays) -> None:
        self._store = store
        self._objects = objects
        self._replays = replays

    async def run(self) -> None:
        """Sweep for as long as the server lives."""
        async with asyncio.TaskGroup() as group:
            group.create_task(
                repeat_every(BUILD_EVERY_S, self._replays.build_due, "files: building replays")
            )
            group.create_task(repeat_every(CLEAR_EVERY_S, self.clear, "files: cleaning up"))
            group.create_task(
                repeat_every(CHECK_EVERY_S, self.find_lost, "files: looking for missing objects")
            )

    async def clear(self) -> int:
        """Delete objects whose row is gone."""
        async with self._store.take_trash(CLEARED_AT_ONCE) as trash:
            done = await asyncio.gather(
                *map(self._objects.delete, trash.keys), return_exceptions=True
            )
            errors = {key: e for key, e in zip(trash.keys, done, strict=True) if e is not None}
            if errors and len(errors) == len(trash.keys):
                raise next(iter(errors.values()))  # the store is away, and no object is to blame
            for key, error in errors.items():
                log.error("the object %s cannot be deleted; it is tried again: %r", key, error)
            trash.kept.update(errors)
        return len(trash.keys) - len(trash.kept)

    async def find_lost(self) -> list[str]:
        """Look whether some objects are still there; rows of lost ones are marked, and kept."""
        keys = await self._store.take_unchecked(CHECKED_AGAIN_S, CHECKED_AT_ONCE)
        lost = await self._objects.find_missing(keys)
        newly = await self._store.mark_checked(keys, lost=lost)
        for link in newly:
            log.error("the object of the file %s is missing in the store", link)
        return newly
