"""`/storage/v1/upload/resumable`: uploads that survive a broken connection, by tus 1.0.

Clients are unmodified ones of tus, as Supabase's documentation has it. Bytes are stored in parts as
they come, so what was acknowledged stays, whichever node is asked next and whatever became of the
last one. Once all are here, the file is checked and taken in as any other.
"""

import asyncio
import secrets
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final, NamedTuple

from aiohttp import ClientPayloadError, hdrs, web

from persistence.files.parts import PartStore, ResumableUpload, UploadPart
from persistence.files.store import FileStore
from persistence.objects import ObjectStorage, reporting_full_disk
from persistence.private_files import make_folder
from persistence.rls import Requester
from protocol.codec import validate
from protocol.errors import InvalidField, PlayhallError, RequestTimeout, TooLarge
from protocol.files import FileMissing, FileTaken, NewUpload, QuotaExceeded, media_type
from protocol.limits import FILE_BYTES_MAX
from server.core.clock import Clock
from server.core.rate_limits import client_network
from server.domains.content.files import rules
from server.domains.content.files.http import CHUNK_BYTES
from server.domains.content.files.model import Buckets
from server.domains.content.files.supabase_clients import StorageClients, error_response
from server.domains.content.files.uploads import RECEIVE_S, SETTLE_S, Uploads

PATH: Final = "/storage/v1/upload/resumable"
VERSION: Final = "1.0.0"
EXTENSIONS: Final = "creation,creation-with-upload,termination,expiration"
CONTENT_TYPE: Final = "application/offset+octet-stream"
PART_BYTES: Final = 8 * 1024 * 1024
RESUMABLE: Final = timedelta(days=1)
UPLOADS_PER_OWNER: Final = 16
_METADATA_CHARS_MAX: Final = 4096
_NUMBER_DIGITS_MAX: Final = 15

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class UploadAddress(NamedTuple):
    """What the address of an upload says: where the file will be, and which upload it is."""

    bucket: str
    path: str
    upload_id: str

    @property
    def key(self) -> str:
        """Give the key of the file's object."""
        return f"{self.bucket}/{self.path}/{self.upload_id}"

    def write(self) -> str:
        """Write it as one part of an address."""
        return urlsafe_b64encode(self.key.encode()).rstrip(b"=").decode()

    @classmethod
    def parse(cls, text: str) -> "UploadAddress":
        """Read what `write` has written; raise `FileMissing`."""
        try:
            key = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
        except ValueError:
            raise FileMissing(_GONE) from None
        link, _, upload_id = key.rpartition("/")
        bucket, _, path = link.partition("/")
        if not (rules.is_upload_id(upload_id) and rules.is_file_address(bucket, path)):
            raise FileMissing(_GONE)
        return cls(bucket, path, upload_id)


class SupabaseUploads:
    """Serves the addresses. `folder` is for a part that is coming; nothing in it has a name."""

    def __init__(
        self,
        *,
        clients: StorageClients,
        files: FileStore,
        parts: PartStore,
        uploads: Uploads,
        objects: ObjectStorage,
        buckets: Buckets,
        clock: Clock,
        folder: Path,
    ) -> None:
        self._clients = clients
        self._buckets = buckets
        self._files = files
        self._parts = parts
        self._uploads = uploads
        self._objects = objects
        self._clock = clock
        self._folder = folder

    def mount(self, app: web.Application) -> None:
        """Serve the addresses from an application."""
        one = PATH + "/{upload}"
        add = app.router.add_route
        add("POST", PATH, self._answering(self._create))
        add("OPTIONS", PATH, self._describe)
        add("OPTIONS", one, self._describe)
        add("HEAD", one, self._answering(self._offset))
        add("PATCH", one, self._answering(self._append))
        add("DELETE", one, self._answering(self._terminate))
        add("POST", one, self._answering(self._overridden))

    def _answering(self, handler: Handler) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            response: web.StreamResponse
            try:
                if request.headers.get("Tus-Resumable") != VERSION:
                    response = web.Response(status=412, headers={"Tus-Version": VERSION})
                else:
                    response = await handler(request)
            except PlayhallError as error:
                response = error_response(error)
            response.headers["Tus-Resumable"] = VERSION
            response.headers["Cache-Control"] = "no-store"
            return response

        return answer

    async def _describe(self, _: web.Request) -> web.Response:
        headers = {
            "Tus-Resumable": VERSION,
            "Tus-Version": VERSION,
            "Tus-Extension": EXTENSIONS,
            "Tus-Max-Size": str(FILE_BYTES_MAX),
        }
        return web.Response(status=204, headers=headers)

    async def _overridden(self, request: web.Request) -> web.StreamResponse:
        """Serve a client that cannot send PATCH or DELETE."""
        method = request.headers.get("X-HTTP-Method-Override", "").upper()
        handlers = {"PATCH": self._append, "DELETE": self._terminate, "HEAD": self._offset}
        if method not in handlers:
            raise web.HTTPMethodNotAllowed("POST", ["HEAD", "PATCH", "DELETE"])
        return await handlers[method](request)

    # ------------------------------------------------------------------ creation

    async def _create(self, request: web.Request) -> web.StreamResponse:
        who = await self._clients.person(request)
        size = _number(request, "Upload-Length")
        said = parse_metadata(request.headers.get("Upload-Metadata", ""))
        bucket, path = said.get("bucketName", ""), said.get("objectName", "")
        found = self._buckets.get(bucket)
        kind = media_type(said.get("contentType", ""))
        if found is not None:
            kind = rules.assumed_type(found, path, kind)
        given = {"bucket": bucket, "path": path, "size": size, "content_type": kind}
        new = validate(NewUpload, given)
        is_known = rules.is_file_address(bucket, path) and await self._files.find(who, bucket, path)
        if is_known and request.headers.get("x-upsert", "").lower() != "true":
            raise FileTaken("The resource already exists")
        if await self._parts.count_uploads(who.user_id) >= UPLOADS_PER_OWNER:
            raise QuotaExceeded(
                f"You have {UPLOADS_PER_OWNER} uploads that have not finished; end one of them."
            )
        expires_at = self._clock.now() + RESUMABLE
        announced = await self._uploads.begin(who, new, expires_at=expires_at)
        address = UploadAddress(bucket, path, announced.upload_id)
        headers = {
            hdrs.LOCATION: f"{PATH}/{address.write()}",
            "Upload-Offset": "0",
            "Upload-Expires": _http_date(expires_at),
        }
        if request.content_type == CONTENT_TYPE:
            upload = ResumableUpload(announced, expires_at)
            headers["Upload-Offset"] = str(await self._receive(request, who, upload))
        return web.Response(status=201, headers=headers)

    # ------------------------------------------------------------------ one upload

    async def _find(self, who: Requester, address: UploadAddress) -> ResumableUpload:
        upload = await self._parts.read(address.upload_id, who.user_id)
        if upload is None:
            raise FileMissing(_GONE)
        return upload

    async def _offset(self, request: web.Request) -> web.StreamResponse:
        who = await self._clients.person(request)
        address = UploadAddress.parse(request.match_info["upload"])
        # The client may not have heard that all has come.
        size = await self._parts.read_finished(*address[:2], address.key, who.user_id)
        if size is not None:
            return web.Response(headers={"Upload-Offset": str(size), "Upload-Length": str(size)})
        upload = await self._find(who, address)
        if upload.is_complete:  # what took it in was interrupted
            await self._take_in(upload)
        headers = {
            "Upload-Offset": str(upload.received),
            "Upload-Length": str(upload.announced.size),
            "Upload-Expires": _http_date(upload.expires_at),
        }
        return web.Response(headers=headers)

    async def _append(self, request: web.Request) -> web.StreamResponse:
        who = await self._clients.person(request)
        if request.content_type != CONTENT_TYPE:
            return web.Response(status=415, text=f"Send it as {CONTENT_TYPE}.\n")
        upload = await self._find(who, UploadAddress.parse(request.match_info["upload"]))
        if _number(request, "Upload-Offset") != upload.received:
            raise FileTaken(f"{upload.received} bytes have come; go on from there.")
        if not upload.is_complete:
            upload.require_open()
        received = await self._receive(request, who, upload)
        headers = {
            "Upload-Offset": str(received),
            "Upload-Expires": _http_date(upload.expires_at),
        }
        return web.Response(status=204, headers=headers)

    async def _terminate(self, request: web.Request) -> web.StreamResponse:
        who = await self._clients.person(request)
        upload = await self._find(who, UploadAddress.parse(request.match_info["upload"]))
        await self._files.abandon_upload(upload.announced.upload_id)
        return web.Response(status=204)

    # ------------------------------------------------------------------ bytes

    async def _receive(self, request: web.Request, who: Requester, upload: ResumableUpload) -> int:
        """Store what comes, part by part, and take the file in if that was all; give the offset.

        A connection that breaks loses nothing that has come.
        """
        if (request.content_length or 0) > upload.announced.size - upload.received:
            raise TooLarge(f"The upload was announced with {upload.announced.size} bytes.")
        with self._uploads.receiving.place(who.user_id, client_network(request.remote or "")):
            chunks = aiter(request.content.iter_chunked(CHUNK_BYTES))
            try:
                async with asyncio.timeout(RECEIVE_S):
                    while chunk := await anext(chunks, b""):
                        upload.require_open()
                        upload = await self._receive_part(upload, chunk, chunks)
            except TimeoutError:
                raise RequestTimeout(
                    f"The bytes did not arrive within {RECEIVE_S:.0f} seconds; resume the upload."
                ) from None
            if upload.is_complete:
                await self._take_in(upload)
        return upload.received

    async def _receive_part(
        self, upload: ResumableUpload, first: bytes, chunks: AsyncIterator[bytes]
    ) -> ResumableUpload:
        """Store one part of what comes, also if the connection breaks meanwhile."""
        broken: Exception | None = None
        with reporting_full_disk(), self._place_on_disk() as file:
            size, chunk = 0, first
            while chunk:
                size += len(chunk)
                if upload.received + size > upload.announced.size:
                    raise TooLarge(f"The upload was announced with {upload.announced.size} bytes.")
                await asyncio.to_thread(file.write, chunk)
                if size >= PART_BYTES:
                    break
                try:
                    chunk = await anext(chunks, b"")
                except (PlayhallError, ConnectionError, ClientPayloadError) as error:
                    broken, chunk = error, b""
            await self._store_part(upload, file, size)
        if broken is not None:
            raise broken
        return upload._replace(received=upload.received + size, parts=upload.parts + 1)

    async def _store_part(self, upload: ResumableUpload, file: IO[bytes], size: int) -> None:
        upload_id, start = upload.announced.upload_id, upload.received
        key = f"_parts/{upload_id}/{start}-{secrets.token_hex(8)}"
        await self._parts.expect(key)
        file.seek(0)
        try:
            await self._objects.put(key, file)
            await self._parts.add(upload_id, UploadPart(start, size, key))
        except BaseException:  # no quota counts it, so it must not stay
            if await self._parts.discard(key):
                await self._objects.delete(key)
            raise

    async def _take_in(self, upload: ResumableUpload) -> None:
        announced = upload.announced
        if not await self._parts.claim(announced.upload_id, for_s=RECEIVE_S + SETTLE_S):
            raise FileTaken("The file is being taken in; ask again in a moment.")
        try:
            async with asyncio.timeout(RECEIVE_S):
                await self._uploads.assemble(announced, self._read_parts(announced.upload_id))
        except BaseException:
            await self._parts.release(announced.upload_id)  # if it is there still
            raise

    async def _read_parts(self, upload_id: str) -> AsyncIterator[bytes]:
        async for part in self._parts.iterate_parts(upload_id):
            async for chunk in await self._objects.read(part.key, 0, part.size):
                yield chunk

    def _place_on_disk(self) -> IO[bytes]:
        make_folder(self._folder)
        return TemporaryFile(dir=self._folder)


def parse_metadata(header: str) -> dict[str, str]:
    """Read `Upload-Metadata`: names with values in base64; raise `InvalidField`."""
    wrong = InvalidField(
        "Upload-Metadata: send bucketName, objectName and contentType, their values in base64.",
        field="Upload-Metadata",
    )
    if len(header) > _METADATA_CHARS_MAX:
        raise wrong
    said = {}
    for pair in filter(None, (each.strip() for each in header.split(","))):
        name, _, value = pair.partition(" ")
        try:
            said[name] = b64decode(value, validate=True).decode()
        except ValueError:
            raise wrong from None
    return said


def _number(request: web.Request, name: str) -> int:
    text = request.headers.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= _NUMBER_DIGITS_MAX):
        raise InvalidField(f"{name}: send a number of bytes.", field=name)
    return int(text)


def _http_date(at: datetime) -> str:
    return format_datetime(at, usegmt=True)


_GONE: Final = "There is no such upload of yours, or it has expired; begin again."
