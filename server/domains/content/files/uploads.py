"""Taking in files: announced, streamed to disk, checked, stored, recorded."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final, NamedTuple

from persistence.files.store import AnnouncedUpload, FileStore, StoredFile
from persistence.objects import ObjectStorage, reporting_full_disk
from persistence.private_files import make_folder
from persistence.rls import Requester
from protocol.errors import BadToken, Overloaded, RateLimited, RequestTimeout
from protocol.files import BadUpload, FileRefused, NewReplay, NewUpload, Upload
from protocol.ids import MatchId, UserId, new_id
from server.core.clock import Clock, wire_time
from server.core.rate_limits import Rate, RateLimiter, client_network
from server.domains.content.files import replay_check, rules
from server.domains.content.files.model import Buckets
from server.domains.content.files.rules import HEAD_BYTES
from server.domains.interfaces import ImageIntake, TokenScope

RECEIVE_S: Final = 300.0
SETTLE_S: Final = 60.0  # after which what is still under way is forgotten
RECEIVED_AT_ONCE: Final = 64
RECEIVED_PER_OWNER: Final = 4
RECEIVED_PER_NETWORK: Final = 16
CHECKED_AT_ONCE: Final = 1


class UploadLimits(NamedTuple):
    """How long an upload's URL is good for, and how much an account may keep and announce."""

    url_s: float
    account_bytes_max: int
    announced: RateLimiter


def upload_limiter(per_minute: float) -> RateLimiter:
    """Bound how often an account may announce an upload."""
    return RateLimiter("uploads", Rate(per_minute, per_minute), "You are uploading too many files")


class UploadShares:
    """The uploads that are being received: so many in all, of one owner, and of one network."""

    def __init__(self) -> None:
        self._all = 0
        self._of: Counter[str] = Counter()

    @contextmanager
    def place(self, owner: UserId | None, network: str) -> Iterator[None]:
        """Hold a place; raise `Overloaded` or `RateLimited` where there is none.

        A match's replay has no owner, and counts for its network alone.
        """
        if self._all >= RECEIVED_AT_ONCE:
            raise Overloaded
        shares = {f"network {network}": RECEIVED_PER_NETWORK}
        if owner is not None:
            shares[f"owner {owner}"] = RECEIVED_PER_OWNER
        for name, most in shares.items():
            if self._of[name] >= most:
                whose = "Your network" if name.startswith("network") else "You"
                raise RateLimited(
                    f"{whose} can send {most} files at once; wait until one has finished."
                )
        self._all += 1
        self._of.update(shares.keys())
        try:
            yield
        finally:
            self._all -= 1
            self._of.subtract(shares.keys())
            self._of = +self._of  # without those at 0


class Uploads:
    """The way in. `folder` is for what is under way; nothing in it has a name."""

    def __init__(
        self,
        *,
        store: FileStore,
        objects: ObjectStorage,
        tokens: TokenScope,
        clock: Clock,
        folder: Path,
        limits: UploadLimits,
        buckets: Buckets,
        images: ImageIntake,
    ) -> None:
        self._store = store
        self._objects = objects
        self._tokens = tokens
        self._clock = clock
        self._folder = folder
        self._limits = limits
        self._buckets = buckets
        self._images = images
        self.receiving = UploadShares()  # one for every way in
        self._checks = asyncio.Semaphore(CHECKED_AT_ONCE)

    async def announce(self, who: Requester, new: NewUpload) -> Upload:
        """Allow somebody to upload a file of theirs; raise `RateLimited` among others."""
        expires_at = self._expiry()
        return self._signed(await self.begin(who, new, expires_at=expires_at), expires_at)

    async def begin(
        self, who: Requester, new: NewUpload, *, expires_at: datetime
    ) -> AnnouncedUpload:
        """Allow an upload that is not bound to a URL."""
        self._limits.announced.require_allowed(who.user_id, self._clock.monotonic())
        rules.check_upload(new, who.user_id, self._buckets)
        if self._images.takes(new.bucket, new.content_type):
            await self._images.require_room(who.user_id)
        upload = AnnouncedUpload(new_id(), who.user_id, None, **new.model_dump())
        bytes_max = self._limits.account_bytes_max
        await self._store.announce_upload(
            who,
            upload,
            expires_at=expires_at,
            may_replace=not self._buckets[upload.bucket].is_settled,
            require_room=partial(rules.require_quota, size=upload.size, bytes_max=bytes_max),
        )
        return upload

    async def assemble(self, upload: AnnouncedUpload, chunks: AsyncIterator[bytes]) -> StoredFile:
        """Take in an upload whose bytes are all here, and that nobody else has in hand.

        Raises `FileRefused`, and then the upload is gone; for any other reason it stays.
        """
        try:
            return await self._take(upload, chunks)
        except FileRefused:
            await self._store.abandon_upload(upload.upload_id)
            raise

    async def announce_replay(self, match_id: MatchId, new: NewReplay) -> Upload:
        """Allow the upload of a match's replay."""
        replay = rules.parse_replay_upload(match_id, new, self._buckets)
        upload = AnnouncedUpload(new_id(), None, match_id, **replay.model_dump())
        expires_at = self._expiry()
        await self._store.announce_replay(upload, expires_at=expires_at)
        return self._signed(upload, expires_at)

    async def receive(
        self,
        token: str,
        *,
        link: str,
        content_type: str,
        chunks: AsyncIterator[bytes],
        remote: str | None,
    ) -> StoredFile:
        """Take in what was announced; the URL is used up, whatever comes once bytes have come.

        `link` is the bucket and path that it was sent to, `remote` the client's address, or None
        for a client that holds a place already. Raises `BadUpload`, `FileRefused`, `Overloaded`,
        `RateLimited`, and `RequestTimeout` after `RECEIVE_S`; pauses within a body are the
        connection's business.
        """
        upload_id = await self._upload_in(token)
        owner = await self._store.read_upload_owner(upload_id)
        first = await anext(chunks, b"")  # silence takes no place, and leaves the URL as it is
        place: AbstractContextManager[None] = nullcontext()
        if remote is not None:
            place = self.receiving.place(owner, client_network(remote))
        with place:
            upload = await self._store.claim_upload(upload_id, for_s=RECEIVE_S + SETTLE_S)
            try:
                async with self._under_way(upload), asyncio.timeout(RECEIVE_S):
                    if link != f"{upload.bucket}/{upload.path}":
                        raise BadUpload("This upload URL is for another path.")
                    if content_type != upload.content_type:
                        raise FileRefused(f"Send it with the Content-Type {upload.content_type}.")
                    return await self._take(upload, _behind(first, chunks))
            except TimeoutError:
                raise RequestTimeout(
                    f"The file did not arrive within {RECEIVE_S:.0f} seconds; announce it again."
                ) from None

    async def store(self, upload: AnnouncedUpload, content: bytes) -> StoredFile:
        """Store what was made here, under an upload that is claimed."""
        async with self._under_way(upload):
            await self._objects.put(upload.make_object_key, content)
            return await self._finish(upload, sha256(content).digest())

    async def _take(self, upload: AnnouncedUpload, chunks: AsyncIterator[bytes]) -> StoredFile:
        with reporting_full_disk(), self._place() as file:
            digest = await _write(upload, chunks, file)
            await self._check(upload, file)
            file.seek(0)
            await self._objects.put(upload.make_object_key, file)
            return await self._finish(upload, digest)

    def _place(self) -> IO[bytes]:
        make_folder(self._folder)
        return TemporaryFile(dir=self._folder)

    async def _finish(self, upload: AnnouncedUpload, digest: bytes) -> StoredFile:
        """Record what was put; if it was withdrawn meanwhile, its object goes here.

        It was thrown away with its row, and the sweep may have come by before it was there.
        """
        bucket = self._buckets.get(upload.bucket)
        is_public = bucket is not None and bucket.is_public  # it may have gone with a setting
        is_image = self._images.takes(upload.bucket, upload.content_type)
        try:
            file = await self._store.finish_upload(
                upload, sha256=digest, is_public=is_public, is_image=is_image
            )
        except BadUpload:
            await self._objects.delete(upload.make_object_key)
            raise
        if is_image:
            self._images.wake()
        return file

    async def _check(self, upload: AnnouncedUpload, file: IO[bytes]) -> None:
        file.seek(0)
        rules.check_first_bytes(file.read(HEAD_BYTES), upload.content_type)
        if upload.match_id is not None:
            async with self._checks:
                file.seek(0)
                await replay_check.check_in_subprocess(await asyncio.to_thread(file.read))

    @asynccontextmanager
    async def _under_way(self, upload: AnnouncedUpload) -> AsyncIterator[None]:
        try:
            yield
        except BaseException:
            # If this fails as well, the upload expires, and is thrown away then.
            await self._store.abandon_upload(upload.upload_id)
            raise

    async def _upload_in(self, token: str) -> str:
        """Read which upload a URL's token is for; raise `BadUpload`.

        What the upload is bound to is in its row; the signature keeps made-up URLs from the
        database.
        """
        try:
            return (await self._tokens.read(token))["upload"]
        except (BadToken, KeyError):
            raise BadUpload from None

    def _expiry(self) -> datetime:
        return self._clock.now() + timedelta(seconds=self._limits.url_s)

    def _signed(self, upload: AnnouncedUpload, expires_at: datetime) -> Upload:
        token = self._tokens.write({"upload": upload.upload_id}).token
        url = f"/files/{upload.bucket}/{upload.path}"
        return Upload(upload_url=f"{url}?token={token}", expires_at=wire_time(expires_at), url=url)


async def _behind(first: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in chunks:
        yield chunk


async def _write(upload: AnnouncedUpload, chunks: AsyncIterator[bytes], file: IO[bytes]) -> bytes:
    """Write to disk what comes, never more than was announced; give its SHA-256."""
    digest, size = sha256(), 0
    async for chunk in chunks:
        size += len(chunk)
        if size > upload.size:
            raise FileRefused(f"The file is longer than the {upload.size} bytes announced.")
        digest.update(chunk)
        await asyncio.to_thread(file.write, chunk)
    if size < upload.size:
        raise FileRefused(f"The file has {size} bytes, not the {upload.size} announced.")
    return digest.digest()
