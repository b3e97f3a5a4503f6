"""`/storage/v1`: the same files with an unmodified Supabase client.

Buckets, paths, types, sizes and quotas are those of `/v1/files`, and so is who may read: row level
security. What the client sends at once is announced here and then taken in as any other upload is.
A signed URL shows what whoever signed it may still read when it is used.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Annotated, Any, Final
from urllib.parse import quote

import orjson
from aiohttp import BodyPartReader, web
from pydantic import BaseModel, ConfigDict, Field

from persistence.files.store import FileStore, StoredFile
from persistence.objects import ObjectStorage, reporting_full_disk
from persistence.private_files import make_folder
from persistence.rls import Requester
from protocol.codec import read_json, validate
from protocol.errors import BadFrame, BadToken, PlayhallError, TooLarge
from protocol.files import BadUpload, FileInUse, FileMissing, FileTaken, NewUpload, media_type
from protocol.ids import SessionId, UserId
from server.core.clock import Clock, wire_time
from server.core.rate_limits import client_network
from server.domains.content.files import rules
from server.domains.content.files.http import CHUNK_BYTES, FileServing
from server.domains.content.files.model import BucketRules, Buckets
from server.domains.content.files.supabase_clients import StorageClients, error_response
from server.domains.content.files.uploads import Uploads
from server.domains.interfaces import TokenScope
from server.gateway.http.bodies import BODY_BYTES_MAX, read_body

PREFIX: Final = "/storage/v1"
SIGNED_S_MAX: Final = 7 * 86_400
LISTED_MAX: Final = 1000
DELETED_MAX: Final = 100
SIGNED_AT_ONCE: Final = 100
UPLOAD_URL_S: Final = 7_200
_PATH: Final = "/{bucket}/{path:.+}"

Handler = Callable[[web.Request], Awaitable[Any]]


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _List(_Body):
    prefix: Annotated[str, Field(max_length=500)] = ""
    limit: Annotated[int, Field(ge=0, le=LISTED_MAX)] = 100
    offset: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    search: Annotated[str, Field(max_length=100)] = ""


class _Delete(_Body):
    prefixes: Annotated[list[str], Field(max_length=DELETED_MAX)]


class _Move(_Body):
    bucket: Annotated[str, Field(alias="bucketId", max_length=100)]
    source: Annotated[str, Field(alias="sourceKey", max_length=1000)]
    destination: Annotated[str, Field(alias="destinationKey", max_length=1000)]
    destination_bucket: Annotated[str, Field(max_length=100)] | None = Field(
        default=None, alias="destinationBucket"
    )


class _Sign(_Body):
    expires_in: Annotated[int, Field(alias="expiresIn", ge=1, le=SIGNED_S_MAX)] = 3600
    paths: Annotated[list[str], Field(max_length=SIGNED_AT_ONCE)] = []


class SupabaseStorage:
    """Serves the addresses. `folder` is for uploads under way; nothing in it has a name."""

    def __init__(
        self,
        *,
        clients: StorageClients,
        store: FileStore,
        objects: ObjectStorage,
        uploads: Uploads,
        serving: FileServing,
        tokens: TokenScope,
        clock: Clock,
        folder: Path,
        buckets: Buckets,
    ) -> None:
        self._clients = clients
        self._store = store
        self._objects = objects
        self._uploads = uploads
        self._serving = serving
        self._tokens = tokens
        self._clock = clock
        self._folder = folder
        self._buckets = buckets
        self._since = wire_time(clock.now())  # buckets are settings, as old as the node

    def mount(self, app: web.Application) -> None:
        """Serve the addresses from an application; of two that fit, the first counts."""
        routes: list[tuple[str, str, Handler]] = [
            ("GET", "/bucket", self._list_buckets),
            ("GET", "/bucket/{bucket}", self._read_bucket),
            ("GET", f"/object/public{_PATH}", self._send_public),
            ("GET", f"/object/sign{_PATH}", self._send_signed),
            ("GET", f"/object/info{_PATH}", self._info),
            ("GET", f"/object/authenticated{_PATH}", self._send),
            ("GET", f"/object{_PATH}", self._send),
            ("POST", "/object/list/{bucket}", self._list),
            ("POST", "/object/move", self._move),
            ("POST", "/object/copy", self._copy),
            ("POST", "/object/sign/{bucket}", self._sign_many),
            ("POST", f"/object/upload/sign{_PATH}", self._sign_upload),
            ("PUT", f"/object/upload/sign{_PATH}", self._upload_signed),
            ("POST", f"/object/sign{_PATH}", self._sign),
            ("POST", f"/object{_PATH}", self._upload),
            ("PUT", f"/object{_PATH}", self._replace),
            ("DELETE", "/object/{bucket}", self._delete_many),
            ("DELETE", f"/object{_PATH}", self._delete),
        ]
        for method, path, handler in routes:
            answering = self._answering(handler)
            app.router.add_route(method, f"{PREFIX}{path}", answering)
            if method == "GET":
                app.router.add_route("HEAD", f"{PREFIX}{path}", answering)

    def _answering(
        self, handler: Handler
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                answered = await handler(request)
            except PlayhallError as error:
                return error_response(error)
            if isinstance(answered, web.StreamResponse):
                return answered
            return web.Response(body=orjson.dumps(answered), content_type="application/json")

        return answer

    # ------------------------------------------------------------------ buckets

    async def _list_buckets(self, request: web.Request) -> Any:
        await self._clients.client(request)
        return [_bucket(name, found, self._since) for name, found in self._buckets.items()]

    async def _read_bucket(self, request: web.Request) -> Any:
        await self._clients.client(request)
        name = request.match_info["bucket"]
        return _bucket(name, self._rules(name), self._since)

    def _rules(self, bucket: str) -> BucketRules:
        found = self._buckets.get(bucket)
        if found is None:
            raise FileMissing("Bucket not found")
        return found

    # ------------------------------------------------------------------ reading

    async def _find(self, who: Requester | None, bucket: str, path: str) -> StoredFile:
        if rules.is_file_address(bucket, path):
            file = await self._store.find(who, bucket, path)
            if file is not None:
                return file
        raise FileMissing("Object not found")

    async def _send(self, request: web.Request) -> web.StreamResponse:
        client = await self._clients.client(request)
        file = await self._find(client.requester, *_place(request))
        return await self._serving.send(request, file, is_anonymous=client.identity is None)

    async def _send_public(self, request: web.Request) -> web.StreamResponse:
        file = await self._find(None, *_place(request))
        return await self._serving.send(request, file, is_anonymous=True)

    async def _info(self, request: web.Request) -> Any:
        client = await self._clients.client(request)
        file = await self._find(client.requester, *_place(request))
        return {
            "id": file.file_id,
            "name": file.path,
            "bucket_id": file.bucket,
            "size": file.size,
            "content_type": file.content_type,
            "etag": f'"{file.sha256.hex()}"',
            "version": file.key.rpartition("/")[2],
            "cache_control": self._serving.caching(file, is_anonymous=client.identity is None),
            "created_at": wire_time(file.created_at),
            "last_modified": wire_time(file.created_at),
            "metadata": {},
        }

    async def _list(self, request: web.Request) -> Any:
        client = await self._clients.client(request)
        bucket = request.match_info["bucket"]
        self._rules(bucket)
        body = await _read(request, _List)
        folder = body.prefix.strip("/")
        found = await self._store.list_folder(
            client.requester,
            bucket,
            f"{folder}/" if folder else "",
            search=body.search,
            limit=body.limit,
            offset=body.offset,
        )
        return [
            {
                "name": each.name,
                "id": each.file_id,
                "created_at": wire_time(each.created_at) if each.file_id else None,
                "updated_at": wire_time(each.created_at) if each.file_id else None,
                "last_accessed_at": None,
                "metadata": {
                    "size": each.size,
                    "mimetype": each.content_type,
                    "eTag": f'"{each.sha256.hex()}"',
                }
                if each.file_id
                else None,
            }
            for each in found
        ]

    # ------------------------------------------------------------------ signed URLs

    async def _sign(self, request: web.Request) -> Any:
        client = await self._clients.client(request)
        body = await _read(request, _Sign)
        file = await self._find(client.requester, *_place(request))
        return {"signedURL": self._signed(file, client.requester, body.expires_in)}

    async def _sign_many(self, request: web.Request) -> Any:
        client = await self._clients.client(request)
        body = await _read(request, _Sign)
        signed = []
        for path in body.paths:
            try:
                file = await self._find(client.requester, request.match_info["bucket"], path)
            except FileMissing:
                said = "Either the object does not exist or you do not have access to it"
                signed.append({"path": path, "signedURL": None, "error": said})
            else:
                url = self._signed(file, client.requester, body.expires_in)
                signed.append({"path": path, "signedURL": url, "error": None})
        return signed

    def _signed(self, file: StoredFile, who: Requester | None, expires_in: int) -> str:
        token = self._write_token("read", f"{file.bucket}/{file.path}", who, expires_in)
        return f"/object/sign/{quote(f'{file.bucket}/{file.path}')}?token={token}"

    def _write_token(self, use: str, link: str, who: Requester | None, lifetime_s: int) -> str:
        until = self._clock.now() + timedelta(seconds=lifetime_s)
        claims = {"use": use, "file": link, "until": str(int(until.timestamp()))}
        if who is not None:
            claims |= {"user": who.user_id, "session": who.session_id}
        return self._tokens.write(claims).token

    async def _read_token(self, request: web.Request, *uses: str) -> tuple[Requester | None, str]:
        """Say who signed the URL, and for which use; raise `BadUpload` for one that is not good."""
        try:
            claims = await self._tokens.read(request.query.get("token", ""))
        except BadToken:
            raise BadUpload("The signed URL is not valid; sign another one.") from None
        bucket, path = _place(request)
        is_over = int(claims["until"]) <= self._clock.now().timestamp()
        if claims["use"] not in uses or claims["file"] != f"{bucket}/{path}" or is_over:
            raise BadUpload("The signed URL is not valid for this, or has expired.")
        if "user" not in claims:
            return None, claims["use"]
        who = Requester(UserId(claims["user"]), SessionId(claims["session"]))
        return who, claims["use"]

    async def _send_signed(self, request: web.Request) -> web.StreamResponse:
        who, _ = await self._read_token(request, "read")
        file = await self._find(who, *_place(request))
        return await self._serving.send(request, file, is_anonymous=who is None)

    async def _sign_upload(self, request: web.Request) -> Any:
        who = await self._clients.person(request)
        bucket, path = _place(request)
        if not rules.is_file_address(bucket, path):
            raise FileMissing("There can be no file at this path.")
        use = "replace" if _is_upsert(request) else "write"
        token = self._write_token(use, f"{bucket}/{path}", who, UPLOAD_URL_S)
        return {"url": f"/object/upload/sign/{quote(f'{bucket}/{path}')}?token={token}"}

    async def _upload_signed(self, request: web.Request) -> Any:
        who, use = await self._read_token(request, "write", "replace")
        if who is None:
            raise BadUpload
        return await self._take(request, who, may_replace=use == "replace")

    # ------------------------------------------------------------------ writing

    async def _upload(self, request: web.Request) -> Any:
        return await self._take(request, await self._clients.person(request))

    async def _replace(self, request: web.Request) -> Any:
        return await self._take(request, await self._clients.person(request), may_replace=True)

    async def _take(
        self, request: web.Request, who: Requester, *, may_replace: bool = False
    ) -> Any:
        bucket, path = _place(request)
        found = self._rules(bucket)
        if (request.content_length or 0) > found.bytes_max + BODY_BYTES_MAX:
            raise TooLarge(f"A file in {bucket} can have at most {found.bytes_max} bytes.")
        may_replace = may_replace or _is_upsert(request)
        is_known = rules.is_file_address(bucket, path) and await self._store.find(who, bucket, path)
        if is_known and not may_replace:
            raise FileTaken("The resource already exists")
        async with self._spool(request, who, found.bytes_max) as (file, size, sent_type):
            content_type = rules.assumed_type(found, path, sent_type)
            given = {"bucket": bucket, "path": path, "size": size, "content_type": content_type}
            new = validate(NewUpload, given)
            announced = await self._uploads.announce(who, new)
            stored = await self._uploads.receive(
                announced.upload_url.partition("token=")[2],
                link=f"{bucket}/{path}",
                content_type=content_type,
                chunks=_chunks(file),
                remote=None,
            )
        link = f"{stored.bucket}/{stored.path}"
        return {"Id": stored.file_id, "Key": link}

    async def _move(self, request: web.Request) -> Any:
        who = await self._clients.person(request)
        body = await _read(request, _Move)
        file = await self._find(who, body.bucket, body.source)
        if file.owner_id != who.user_id:
            raise FileMissing("Object not found")
        if body.destination_bucket not in (None, body.bucket):
            await self._store.require_unused(who, file.bucket, file.path)
            copy = await self._copy_to(request, who, file, body)
            try:
                await self._store.delete(who, file.bucket, file.path)
            except FileInUse:  # since just now
                await self._store.delete(who, copy.bucket, copy.path)
                raise
        else:
            new = _new_upload(file, body)
            rules.check_upload(new, who.user_id, self._buckets)
            await self._store.move(who, file, new.path)
        return {"message": "Successfully moved"}

    async def _copy(self, request: web.Request) -> Any:
        who = await self._clients.person(request)
        body = await _read(request, _Move)
        file = await self._find(who, body.bucket, body.source)
        stored = await self._copy_to(request, who, file, body)
        return {"Id": stored.file_id, "Key": f"{stored.bucket}/{stored.path}"}

    async def _copy_to(
        self, request: web.Request, who: Requester, file: StoredFile, body: "_Move"
    ) -> StoredFile:
        """Take in the content of a file that somebody may read, as a file of theirs."""
        new = _new_upload(file, body)
        if not _is_upsert(request) and (
            rules.is_file_address(new.bucket, new.path)
            and await self._store.find(who, new.bucket, new.path)
        ):
            raise FileTaken("The resource already exists")
        announced = await self._uploads.announce(who, new)
        return await self._uploads.receive(
            announced.upload_url.partition("token=")[2],
            link=f"{new.bucket}/{new.path}",
            content_type=new.content_type,
            chunks=await self._objects.read(file.key, 0, file.size),
            remote=request.remote or "",
        )

    @asynccontextmanager
    async def _spool(
        self, request: web.Request, who: Requester, bytes_max: int
    ) -> AsyncIterator[tuple[IO[bytes], int, str]]:
        """Write what is sent to disk: how long a file is has to be known before it is announced."""
        network = client_network(request.remote or "")
        with (
            self._uploads.receiving.place(who.user_id, network),
            reporting_full_disk(),
            self._place_on_disk() as file,
        ):
            size = 0
            content_type, chunks = await _content(request)
            async for chunk in chunks:
                size += len(chunk)
                if size > bytes_max:
                    raise TooLarge(f"A file here can have at most {bytes_max} bytes.")
                await asyncio.to_thread(file.write, chunk)
            file.seek(0)
            yield file, size, content_type

    def _place_on_disk(self) -> IO[bytes]:
        make_folder(self._folder)
        return TemporaryFile(dir=self._folder)

    async def _delete(self, request: web.Request) -> Any:
        who = await self._clients.person(request)
        bucket, path = _place(request)
        if not (
            rules.is_file_address(bucket, path) and await self._store.delete(who, bucket, path)
        ):
            raise FileMissing("Object not found")
        return {"message": "Successfully deleted"}

    async def _delete_many(self, request: web.Request) -> Any:
        who = await self._clients.person(request)
        bucket = request.match_info["bucket"]
        self._rules(bucket)
        body = await _read(request, _Delete)
        deleted = []
        for path in body.prefixes:
            if rules.is_file_address(bucket, path):
                file_id = await self._store.delete(who, bucket, path)
                if file_id is not None:
                    deleted.append({"id": file_id, "name": path, "bucket_id": bucket})
        return deleted


def _is_upsert(request: web.Request) -> bool:
    return request.headers.get("x-upsert", "").lower() == "true"


def _place(request: web.Request) -> tuple[str, str]:
    return request.match_info["bucket"], request.match_info["path"]


def _new_upload(file: StoredFile, body: _Move) -> NewUpload:
    given = {
        "bucket": body.destination_bucket or body.bucket,
        "path": body.destination,
        "size": file.size,
        "content_type": file.content_type,
    }
    return validate(NewUpload, given)


async def _read(request: web.Request, model: type[Any]) -> Any:
    return validate(model, read_json(await read_body(request, BODY_BYTES_MAX) or b"{}"))


async def _content(request: web.Request) -> tuple[str, AsyncIterator[bytes]]:
    """Give the type and the bytes of what is uploaded: the body, or the one file of a form."""
    if request.content_type != "multipart/form-data":
        kind = media_type(request.headers.get("Content-Type", ""))
        return kind, aiter(request.content.iter_chunked(CHUNK_BYTES))
    try:
        form = await request.multipart()
        for _ in range(16):
            part = await form.next()
            if part is None:
                break
            if isinstance(part, BodyPartReader) and part.filename is not None:
                return media_type(part.headers.get("Content-Type", "")), _of_part(part)
    except (ValueError, AssertionError):
        raise BadFrame("The form is malformed.") from None
    raise BadFrame("The form has no file.")


async def _of_part(part: BodyPartReader) -> AsyncIterator[bytes]:
    while chunk := await part.read_chunk(CHUNK_BYTES):
        yield bytes(chunk)


async def _chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
        yield chunk


def _bucket(name: str, found: BucketRules, since: str) -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "owner": "",
        "public": found.is_public,
        "file_size_limit": found.bytes_max,
        "allowed_mime_types": [kind.content_type for kind in found.kinds],
        "type": "STANDARD",
        "created_at": since,
        "updated_at": since,
    }
