"""`/v1/content`: packages for editors, the manifest and the bytes for clients, signed metadata."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Final, cast

from aiohttp import web

from persistence.objects import ObjectMissing, ObjectStorage
from persistence.packages.store import PackageStore, SignedRole, StoredPackage
from protocol import packages as wire
from protocol.codec import validate
from protocol.errors import BadToken, Forbidden, NotFound, TooLarge
from protocol.packages import PackageNotFound, PackageWithdrawn
from server.domains.progression.packages import targets, views
from server.domains.progression.packages.service import ManifestService, PackageService
from server.gateway.http.endpoints import (
    Answer,
    Authenticate,
    Endpoint,
    HttpRequest,
    RawResponse,
    identify,
    is_known,
)
from server.gateway.http.ranges import SAFE_BYTES_HEADERS, Representation, send_bytes
from server.gateway.session.identity import find_scope_error

TAG: Final = "content"
ALL: Final = "/v1/content/packages"
MANIFEST: Final = "/v1/content/manifest"
METADATA: Final = "/v1/content/tuf/metadata/{name}"
TARGETS: Final = "/v1/content/tuf/targets/{path:.+}"

IF_NONE_MATCH: Final = {
    "If-None-Match": "The ETag of the answer that you have; 304 if it is the same."
}

CHUNK_BYTES: Final = 256 * 1024
FOR_EVER: Final = "public, max-age=31536000, immutable"
JSON: Final = "application/json"
LOST: Final = "The bytes of this package were lost; tell whoever runs the server."


class PackageRoutes:
    """The addresses that are described."""

    def __init__(
        self, *, service: PackageService, store: PackageStore, manifests: ManifestService
    ) -> None:
        self._service = service
        self._store = store
        self._manifests = manifests

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        return [*self._to_read(), *self._to_edit()]

    def _to_read(self) -> list[Endpoint]:
        get = partial(Endpoint, "GET", tag=TAG)
        return [
            get(
                MANIFEST,
                "Ask what content to fetch.",
                self._manifest,
                query=wire.ManifestQuery,
                answer=wire.ContentManifest,
                headers=IF_NONE_MATCH,
            ),
            get(
                ALL,
                "List packages: those that are released, and for editors all.",
                self._list,
                query=wire.PackagesQuery,
                answer=wire.Packages,
                is_tagged=True,
            ),
            get(
                views.ONE,
                "Read a package.",
                self._read,
                answer=wire.Package,
                is_tagged=True,
                errors=(PackageNotFound,),
            ),
            get(
                METADATA,
                "Read signed metadata of The Update Framework, such as `timestamp.json`.",
                self._metadata,
                auth="none",
                errors=(NotFound,),
            ),
        ]

    def _to_edit(self) -> list[Endpoint]:
        make = partial(Endpoint, auth="required", scope="editor", tag=TAG)
        known = (Forbidden, PackageNotFound, wire.WrongPackageStatus)
        return [
            make(
                "POST",
                ALL,
                "Announce a version of a package; PUT its bytes to the `url` in the response.",
                self._add,
                body=wire.NewPackage,
                answer=wire.Package,
                errors=(
                    Forbidden,
                    wire.VersionTaken,
                    wire.VersionTooLow,
                    wire.TooManyPackages,
                    wire.PackageRefused,
                ),
            ),
            make(
                "PATCH",
                views.ONE,
                "Change the notes or the rollout of a package.",
                self._change,
                body=wire.PackageChange,
                answer=wire.Package,
                errors=known,
            ),
            make(
                "DELETE",
                views.ONE,
                "Delete a draft.",
                self._delete,
                answer=wire.PackageDeleted,
                errors=known,
            ),
            make(
                "POST",
                f"{views.ONE}/release",
                "Release a draft whose bytes are there.",
                self._release,
                answer=wire.Package,
                errors=(*known, wire.VersionTooLow, wire.SavesWouldBreak),
            ),
            make(
                "POST",
                f"{views.ONE}/withdraw",
                "Withdraw a released package; its bytes are not served any more.",
                self._withdraw,
                body=wire.Withdrawal,
                answer=wire.Package,
                errors=known,
            ),
            make(
                "POST",
                "/v1/content/rollback",
                "Withdraw every version above one that is released.",
                self._roll_back,
                body=wire.Rollback,
                answer=wire.RolledBack,
                errors=(Forbidden, wire.WrongPackageStatus),
            ),
        ]

    async def _manifest(self, request: HttpRequest) -> Answer:
        query: wire.ManifestQuery = request.query
        subject = query.installation
        if request.identity is not None:
            subject = request.identity.user_id
        answer = self._manifests.make_manifest(query, subject)
        tag = f'"{answer.tag}"'
        headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Authorization"}
        if is_known(request.headers.get("If-None-Match", ""), tag):
            return RawResponse(b"", JSON, status=304, headers=headers)
        return RawResponse(answer.body, JSON, headers=headers)

    async def _list(self, request: HttpRequest) -> wire.Packages:
        query: wire.PackagesQuery = request.query
        found = await self._store.list_packages(
            request.requester,
            name=query.name,
            status=query.status,
            after=None if query.cursor is None else views.CURSOR.read(query.cursor),
            limit=query.limit,
        )
        return views.package_page(found, query.limit)

    async def _read(self, request: HttpRequest) -> wire.Package:
        return views.package_view(await self._store.find(request.requester, _id(request)))

    async def _metadata(self, request: HttpRequest) -> Answer:
        asked = targets.read_metadata_name(request.path["name"])
        if asked is None:
            raise NotFound
        role, version = asked
        body = await self._store.read_metadata(cast("SignedRole", role), version)
        if body is None:
            raise NotFound("There is no such metadata; content was never released, or it is old.")
        caching = "no-cache" if version is None else FOR_EVER
        headers = {"Cache-Control": caching, "Access-Control-Allow-Origin": "*"}
        return RawResponse(body, JSON, headers=headers)

    async def _add(self, request: HttpRequest) -> wire.Package:
        return views.package_view(await self._service.add(request.who.requester, request.body))

    async def _change(self, request: HttpRequest) -> wire.Package:
        who = request.who.requester
        return views.package_view(await self._service.change(who, _id(request), request.body))

    async def _delete(self, request: HttpRequest) -> wire.PackageDeleted:
        package_id = _id(request)
        await self._service.delete(request.who.requester, package_id)
        return wire.PackageDeleted(package_id=package_id)

    async def _release(self, request: HttpRequest) -> wire.Package:
        actor = request.who.user_id
        return views.package_view(await self._service.release(_id(request), actor=actor))

    async def _withdraw(self, request: HttpRequest) -> wire.Package:
        actor, reason = request.who.user_id, request.body.reason
        return views.package_view(await self._service.withdraw(_id(request), reason, actor=actor))

    async def _roll_back(self, request: HttpRequest) -> wire.RolledBack:
        actor = request.who.user_id
        withdrawn = await self._service.roll_back(request.body, actor=actor)
        return wire.RolledBack(withdrawn=[views.package_view(each) for each in withdrawn])


class PackageServing:
    """The bytes, in and out."""

    def __init__(
        self,
        *,
        service: PackageService,
        store: PackageStore,
        objects: ObjectStorage,
        manifests: ManifestService,
        authenticate: Authenticate,
        bytes_max: int,
    ) -> None:
        self._service = service
        self._store = store
        self._objects = objects
        self._manifests = manifests
        self._authenticate = authenticate
        self._bytes_max = bytes_max

    def add_to(self, app: web.Application) -> None:
        """Serve packages from an application."""
        app.router.add_put(views.FILE, self.put)
        app.router.add_get(views.FILE, self.get)  # and HEAD
        app.router.add_get(views.DELTA, self.get_delta)
        app.router.add_get(TARGETS, self.get_target)

    async def put(self, request: web.Request) -> web.Response:
        """Take in the bytes of a draft."""
        who = await identify(request, self._authenticate)
        if who is None:
            raise BadToken("Send an access token: Authorization: Bearer …")
        if (refused := find_scope_error(who, "editor")) is not None:
            raise refused
        if (request.content_length or 0) > self._bytes_max:
            raise TooLarge(f"A package can have at most {self._bytes_max} bytes.")
        path = validate(wire.PackagePath, dict(request.match_info))
        stored = await self._service.receive(
            who.requester, path.package_id, aiter(request.content.iter_chunked(CHUNK_BYTES))
        )
        return web.Response(text=views.package_view(stored).model_dump_json(), content_type=JSON)

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Send the bytes of a package; those of a draft to editors."""
        package_id = validate(wire.PackagePath, dict(request.match_info)).package_id
        package = self._manifests.catalog.packages.get(package_id)
        if package is None:
            who = await identify(request, self._authenticate)
            package = await self._store.find(None if who is None else who.requester, package_id)
        return await self._send_package(request, package)

    async def get_delta(self, request: web.Request) -> web.StreamResponse:
        """Send a delta."""
        path = validate(wire.DeltaPath, dict(request.match_info))
        catalog = self._manifests.catalog
        package = catalog.packages.get(path.package_id)
        delta = catalog.deltas.get((path.package_id, path.parent_id))
        if package is None or delta is None:
            raise PackageNotFound
        _require_served(package)
        return await self._send(request, delta.key, delta.size, delta.checksum, is_public=True)

    async def get_target(self, request: web.Request) -> web.StreamResponse:
        """Send the bytes of a package to a client of the signed metadata."""
        asked = targets.read_target(request.match_info["path"])
        if asked is None:
            raise PackageNotFound
        package = self._manifests.catalog.find(*asked)
        if package is None:
            raise PackageNotFound
        return await self._send_package(request, package)

    async def _send_package(
        self, request: web.Request, package: StoredPackage
    ) -> web.StreamResponse:
        _require_served(package)
        if package.key is None or package.uploaded_at is None:
            raise PackageNotFound("The bytes of this draft are not there yet.")
        is_public = package.status == "released"
        return await self._send(
            request, package.key, package.size, package.checksum, is_public=is_public
        )

    async def _send(
        self, request: web.Request, key: str, size: int, checksum: str, *, is_public: bool
    ) -> web.StreamResponse:
        headers = {
            **SAFE_BYTES_HEADERS,
            "Content-Type": "application/octet-stream",
            # It may be withdrawn, so caches ask again; the answer is then 304 or 410.
            "Cache-Control": "public, no-cache" if is_public else "private, no-cache",
            "Access-Control-Allow-Origin": "*",
        }
        whole = Representation(checksum.removeprefix("sha256:"), size, headers)
        return await send_bytes(
            request, whole, partial(self._open, key), before_head=partial(self._require, key)
        )

    async def _open(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        try:
            return await self._objects.read(key, start, end)
        except ObjectMissing:
            raise PackageNotFound(LOST) from None

    async def _require(self, key: str) -> None:
        if await self._objects.find_missing([key]):
            raise PackageNotFound(LOST)


def _require_served(package: StoredPackage) -> None:
    if package.status == "withdrawn":
        raise PackageWithdrawn


def _id(request: HttpRequest) -> str:
    return request.parse_path(wire.PackagePath).package_id
