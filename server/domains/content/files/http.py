"""`/v1/files` (announcing and deleting) and `/files/…` (bytes in and out)."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Final

from aiohttp import web

from persistence.files.store import FileStore, StoredFile
from persistence.objects import ObjectMissing, ObjectStorage
from protocol.codec import validate
from protocol.errors import BadToken, Forbidden, RateLimited, TooLarge
from protocol.files import (
    BadUpload,
    File,
    FileDeleted,
    FileInUse,
    FileMissing,
    FileTaken,
    NewReplay,
    NewUpload,
    QuotaExceeded,
    Upload,
    media_type,
)
from protocol.history import MatchPath
from protocol.ids import MatchId, PlayerId
from server.core.clock import wire_time
from server.domains.content.files import rules
from server.domains.content.files.model import Buckets
from server.domains.content.files.uploads import Uploads
from server.gateway.http.endpoints import Authenticate, Endpoint, HttpRequest
from server.gateway.http.ranges import SAFE_BYTES_HEADERS, Representation, send_bytes
from server.gateway.session.identity import Identity


def file_view(stored: StoredFile) -> File:
    """Write a stored file."""
    return File(
        file_id=stored.file_id,
        owner_id=stored.owner_id,
        url=file_url(stored.bucket, stored.path),
        bucket=stored.bucket,
        path=stored.path,
        size=stored.size,
        content_type=stored.content_type,
        sha256=stored.sha256.hex(),
        is_public=stored.is_public,
        created_at=wire_time(stored.created_at),
    )


def file_url(bucket: str, path: str) -> str:
    """Say where a file is served."""
    return f"/files/{bucket}/{path}"


ADDRESS: Final = "/files/{bucket}/{path:.+}"
CHUNK_BYTES: Final = 256 * 1024
FOR_EVER_S: Final = 31_536_000
A_WHILE_S: Final = 60
VERSION_CHARS: Final = 16  # of the SHA-256, as `?v=` of an address
LOST: Final = "This file was lost; its owner should upload it again."


class FileServing:
    """The two handlers of one address: GET and PUT."""

    def __init__(
        self,
        *,
        store: FileStore,
        objects: ObjectStorage,
        uploads: Uploads,
        authenticate: Authenticate,
        buckets: Buckets,
    ) -> None:
        self._buckets = buckets
        self._store = store
        self._objects = objects
        self._uploads = uploads
        self._authenticate = authenticate

    def add_to(self, app: web.Application) -> None:
        """Serve files from an application."""
        app.router.add_get(ADDRESS, self.get)  # and HEAD
        app.router.add_put(ADDRESS, self.put)

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Send a file, a part of it, or that it has not changed."""
        return await self.send(
            request,
            await self._find(request),
            is_anonymous="Authorization" not in request.headers,
        )

    async def send(
        self, request: web.Request, file: StoredFile, *, is_anonymous: bool
    ) -> web.StreamResponse:
        """Send a file that was found; `is_anonymous`: for somebody without a token."""
        version = request.query.get("v")
        headers = _headers(
            file,
            is_settled=self._is_settled(file) or version == file.sha256.hex()[:VERSION_CHARS],
            is_anonymous=is_anonymous,
        )
        whole = Representation(file.sha256.hex(), file.size, headers)
        return await send_bytes(
            request, whole, partial(self._open, file), before_head=partial(self._require, file)
        )

    def caching(self, file: StoredFile, *, is_anonymous: bool) -> str:
        """Say who may keep a file, and for how long."""
        return _caching(file, is_settled=self._is_settled(file), is_anonymous=is_anonymous)

    def _is_settled(self, file: StoredFile) -> bool:
        bucket = self._buckets.get(file.bucket)
        return bucket is not None and bucket.is_settled

    async def put(self, request: web.Request) -> web.Response:
        """Take in a file that was announced."""
        bucket, path = request.match_info["bucket"], request.match_info["path"]
        known = self._buckets.get(bucket)
        if known is None or not rules.is_file_address(bucket, path):
            raise BadUpload
        if (request.content_length or 0) > known.bytes_max:
            raise TooLarge(f"A file in {bucket} can have at most {known.bytes_max} bytes.")
        file = await self._uploads.receive(
            request.query.get("token", ""),
            link=f"{bucket}/{path}",
            content_type=media_type(request.headers.get("Content-Type", "")),
            chunks=aiter(request.content.iter_chunked(CHUNK_BYTES)),
            remote=request.remote or "",
        )
        body = file_view(file).model_dump_json()
        return web.Response(text=body, content_type="application/json")

    async def _find(self, request: web.Request) -> StoredFile:
        bucket, path = request.match_info["bucket"], request.match_info["path"]
        if not rules.is_file_address(bucket, path):
            raise FileMissing
        identity = await self._identify(request)
        requester = None if identity is None else identity.requester
        file = await self._store.find(requester, bucket, path)
        if file is None:
            raise FileMissing
        return file

    async def _identify(self, request: web.Request) -> Identity | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return None
        if scheme.lower() != "bearer":
            raise BadToken("The Authorization header must be: Bearer <access token>.")
        return await self._authenticate(token)

    async def _require(self, file: StoredFile) -> None:
        if await self._objects.find_missing([file.key]):
            raise FileMissing(LOST)

    async def _open(self, file: StoredFile, start: int, end: int) -> AsyncIterator[bytes]:
        try:
            return await self._objects.read(file.key, start, end)
        except ObjectMissing:
            raise FileMissing(LOST) from None


def _headers(file: StoredFile, *, is_settled: bool, is_anonymous: bool) -> dict[str, str]:
    name = file.path.rpartition("/")[2]
    shown = "inline" if file.content_type.startswith("image/") else f'attachment; filename="{name}"'
    return {
        **SAFE_BYTES_HEADERS,
        "Content-Type": file.content_type,
        "Content-Disposition": shown,
        "Cache-Control": _caching(file, is_settled=is_settled, is_anonymous=is_anonymous),
        **({"Access-Control-Allow-Origin": "*"} if file.is_public else {"Vary": "Authorization"}),
    }


def _caching(file: StoredFile, *, is_settled: bool, is_anonymous: bool) -> str:
    """Say who may keep a file, and for how long.

    What everybody may read now, but perhaps not tomorrow, is kept by shared caches and asked for
    each time: a 304 costs a row and no bytes, and what becomes private is gone at once. Whether
    everybody may read it is known without a token only; with one it is for its bearer alone.
    """
    if file.is_withheld or not (file.is_public or is_anonymous):
        return "private, no-store"
    if not file.is_public:
        return "public, no-cache"
    if is_settled:
        return f"public, max-age={FOR_EVER_S}, immutable"
    return f"public, max-age={A_WHILE_S}"


TAG = "files"

# Whether a player may say how a match between peers went.
MayReport = Callable[[MatchId, PlayerId], Awaitable[bool]]


class FileRoutes:
    """The addresses of files, but for the bytes themselves."""

    def __init__(self, *, store: FileStore, uploads: Uploads, may_report: MayReport) -> None:
        self._store = store
        self._uploads = uploads
        self._may_report = may_report

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        return [
            Endpoint(
                "POST",
                "/v1/files/uploads",
                "Announce an upload; PUT the file's bytes to the URL in the response.",
                self._announce,
                auth="required",
                body=NewUpload,
                answer=Upload,
                errors=(FileTaken, QuotaExceeded, RateLimited),
                tag=TAG,
            ),
            Endpoint(
                "DELETE",
                "/v1/files/{bucket}/{path:.+}",
                "Delete a file of yours.",
                self._delete,
                auth="required",
                answer=FileDeleted,
                errors=(FileMissing, FileInUse),
                tag=TAG,
            ),
            Endpoint(
                "POST",
                "/v1/matches/{match_id}/replay",
                "Announce the upload of a replay for a peer match that you reported.",
                self._announce_replay,
                auth="required",
                body=NewReplay,
                answer=Upload,
                errors=(Forbidden, FileTaken),
                tag=TAG,
            ),
        ]

    async def _announce(self, request: HttpRequest) -> Upload:
        new: NewUpload = request.body
        return await self._uploads.announce(request.who.requester, new)

    async def _delete(self, request: HttpRequest) -> FileDeleted:
        bucket, path = request.path["bucket"], request.path["path"]
        if not rules.is_file_address(bucket, path):
            raise FileMissing
        if not await self._store.delete(request.who.requester, bucket, path):
            raise FileMissing("You have no such file.")
        return FileDeleted(url=file_url(bucket, path))

    async def _announce_replay(self, request: HttpRequest) -> Upload:
        match_id = validate(MatchPath, {"match_id": request.path["match_id"]}).match_id
        if not await self._may_report(match_id, request.who.player_id):
            raise Forbidden("Only the host who reported this match can upload its replay.")
        new: NewReplay = request.body
        return await self._uploads.announce_replay(match_id, new)
