"""The queue of images, as one node works at it."""

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import ExitStack
from hashlib import file_digest
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final

from persistence.images.store import (
    FollowedCreation,
    ImageFacts,
    ImageStore,
    TakenImage,
    WriteLost,
    WrittenObject,
)
from persistence.objects import ObjectMissing, ObjectStorage, reporting_full_disk
from persistence.private_files import make_folder
from protocol.errors import Overloaded, RateLimited
from protocol.ids import UserId, new_id
from server.core.containment import contain_failures
from server.core.events import CreationListed
from server.core.periodic import AWAY
from server.domains.content.images.formats import IMAGE_TYPES
from server.domains.content.images.process import (
    SPARE_S,
    ImageFiles,
    ImageRefused,
    WorkerDied,
    process_image,
)
from server.domains.content.images.settings import ImageSettings

log = logging.getLogger(__name__)

BUCKETS: Final = frozenset(["creations", "avatars", "thumbnails"])
LOOK_EVERY_S: Final = 2.0  # for what other nodes recorded, or left undone
ATTEMPTS_MAX: Final = 2  # of an image whose process dies
AWAY_S: Final = 10.0
STOPPED_S: Final = 2.0
# How long an image is a node's, and how often that is renewed: another takes up what a node that
# died had in hand when the first is over.
TAKEN_S: Final = 20.0
KEPT_EVERY_S: Final = 5.0
STORE_S: Final = 60.0  # for reading an image and writing what is made of it
RETRY_AFTER_S: Final = 30.0
NOBODY: Final = UserId("00000000-0000-0000-0000-000000000000")


class Images:
    """Takes one image after the other; `publish_event` announces creations that changed."""

    def __init__(
        self,
        *,
        store: ImageStore,
        objects: ObjectStorage,
        folder: Path,
        settings: ImageSettings,
        is_on: bool,
        publish_event: Callable[[CreationListed], None],
    ) -> None:
        self.processed_total = 0
        self.failed_total = 0
        self.died_total = 0
        self._store = store
        self._objects = objects
        self._folder = folder
        self._settings = settings
        self._is_on = is_on
        self._publish_event = publish_event
        self._woken = asyncio.Event()
        self._last_owner = NOBODY  # accounts take turns, in the order of their ids

    # ------------------------------------------------------------------ what files ask

    def takes(self, bucket: str, content_type: str) -> bool:
        """Say whether a file is an image to be processed."""
        return self._is_on and bucket in BUCKETS and content_type in IMAGE_TYPES

    async def require_room(self, owner: UserId) -> None:
        """Raise `Overloaded` or `RateLimited` where too many images wait already."""
        waiting = await self._store.count_waiting(owner, at_most=self._settings.waiting_max)
        if waiting.everyones >= self._settings.waiting_max:
            raise Overloaded(
                "Too many images wait to be processed; try again later.",
                retry_after_s=RETRY_AFTER_S,
            )
        if waiting.own >= self._settings.waiting_per_account:
            raise RateLimited(
                f"{waiting.own} images of yours wait to be processed; upload more later.",
                retry_after_s=RETRY_AFTER_S,
            )

    def wake(self) -> None:
        """Have an image that was recorded processed soon."""
        self._woken.set()

    # ------------------------------------------------------------------ working at it

    async def run(self) -> None:
        """Process images until cancelled."""
        if not self._is_on:
            await asyncio.Event().wait()
        while True:
            self._woken.clear()
            try:
                with contain_failures("processing images", passed=AWAY):
                    while await self.process_next():
                        pass
            except AWAY as error:
                log.info("images wait: %s", error.message)
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def process_next(self) -> bool:
        """Process the image that is due; False if none is."""
        image = await self._store.take(for_s=TAKEN_S, after=self._last_owner)
        if image is None:
            return False
        self._last_owner = image.owner_id
        if image.attempts > ATTEMPTS_MAX:  # a node died each time: this may be why
            await self._fail(image, "processing_failed")
            return True
        try:
            await self._process(image)
        except ImageRefused as refused:
            await self._fail(image, refused.code)
        except WorkerDied as error:
            self.died_total += 1
            log.warning("the process for the image %s died: %s", image.url, error)
            if image.attempts >= ATTEMPTS_MAX:
                await self._fail(image, "processing_failed")
            else:
                await self._store.retry(image.file_id)
        except asyncio.CancelledError:
            async with asyncio.timeout(STOPPED_S):  # the node stops: it is nobody's attempt
                await self._store.put_back(image.file_id, for_s=0.0)
            raise
        except AWAY:
            await self._store.put_back(image.file_id, for_s=AWAY_S)
            raise
        except TimeoutError:
            log.warning("the image %s waits: the file store is slow", image.url)
            await self._store.put_back(image.file_id, for_s=AWAY_S)
        except (ObjectMissing, WriteLost) as error:
            log.warning("the image %s is tried again: %r", image.url, error)
        return True

    async def _process(self, image: TakenImage) -> None:
        failure: Exception | None = None
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(self._keep_taken(image), name="kept image")
            try:
                async with asyncio.timeout(self._settings.seconds_max + SPARE_S + STORE_S):
                    await self._work_at(image)
            except Exception as error:
                failure = error  # raised below, as itself and not in a group
            finally:
                keeping.cancel()
        if failure is not None:
            raise failure

    async def _keep_taken(self, image: TakenImage) -> None:
        """Keep other nodes from an image; if that fails, two work at it, and one records it."""
        while True:
            await asyncio.sleep(KEPT_EVERY_S)
            with contain_failures("keeping an image"):
                await self._store.keep_taken(image.file_id, for_s=TAKEN_S)

    async def _work_at(self, image: TakenImage) -> None:
        with reporting_full_disk(), ExitStack() as stack:
            files = ImageFiles(*(stack.enter_context(self._make_file()) for _ in range(3)))
            await self._fetch(image, files.source)
            facts = await process_image(
                files,
                image.content_type,
                bytes_max=image.size,
                settings=self._settings,
            )
            await self._record(image, files, facts)

    async def _fetch(self, image: TakenImage, file: IO[bytes]) -> None:
        async for chunk in await self._objects.read(image.key, 0, image.size):
            await asyncio.to_thread(file.write, chunk)
        await asyncio.to_thread(file.flush)

    async def _record(self, image: TakenImage, files: ImageFiles, facts: ImageFacts) -> None:
        is_of_avatar = image.bucket == "avatars"
        stem = _thumbnail_stem(image)
        place = f"{image.bucket}/{image.path}"
        cleaned = await asyncio.to_thread(_describe, place, files.cleaned)
        thumbnail = None
        if image.bucket != "thumbnails":
            place = f"thumbnails/{stem}.webp"
            thumbnail = await asyncio.to_thread(_describe, place, files.thumbnail)
        made = [(cleaned, files.cleaned)] + (
            [] if thumbnail is None else [(thumbnail, files.thumbnail)]
        )
        await self._store.throw_away_ahead([each.key for each, _ in made], after_s=2 * STORE_S)
        for each, file in made:
            file.seek(0)
            await self._objects.put(each.key, file)
        followed = await self._store.finish(
            image,
            facts,
            cleaned=cleaned,
            thumbnail=thumbnail,
            thumbnail_stem=stem,
            is_thumbnail_public=is_of_avatar,
        )
        if followed is not None:
            self.processed_total += 1
            self._announce(followed)

    async def _fail(self, image: TakenImage, error: str) -> None:
        self.failed_total += 1
        log.info("the image %s cannot be processed: %s", image.url, error)
        self._announce(await self._store.fail(image, error))

    def _announce(self, followed: list[FollowedCreation]) -> None:
        for each in followed:
            if each.status == "published":
                self._publish_event(CreationListed(each.creation_id, each.user_id, each.is_new))

    def _make_file(self) -> IO[bytes]:
        make_folder(self._folder)
        return TemporaryFile(dir=self._folder)


def _thumbnail_stem(image: TakenImage) -> str:
    """Say where the thumbnail goes: `<owner>/<creation>-thumb`; of an avatar, its owner's."""
    if image.bucket == "avatars":
        return f"{image.owner_id}/{image.owner_id}-thumb"
    name = image.path.rpartition("/")[2].partition(".")[0]
    return f"{image.owner_id}/{name}-thumb"


def _describe(place: str, file: IO[bytes]) -> WrittenObject:
    file.seek(0)
    digest = file_digest(file, "sha256")  # type: ignore[arg-type]  # an IO[bytes] is one
    return WrittenObject(f"{place}/{new_id()}", os.fstat(file.fileno()).st_size, digest.digest())
