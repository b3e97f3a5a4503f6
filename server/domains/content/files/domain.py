"""Files: everything that the domain offers."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from aiohttp import web

from persistence.database import Database
from persistence.files.parts import PartStore
from persistence.files.replays import ReplayStore
from persistence.files.store import FileStore
from persistence.objects import ObjectStorage
from persistence.rls import Requester, RlsDatabase
from protocol.files import NewUpload, Upload
from server.core.clock import Clock
from server.core.retention import RetentionSweep
from server.domains.content.files import rules
from server.domains.content.files.http import FileRoutes, FileServing, MayReport
from server.domains.content.files.jobs import FileMaintenance
from server.domains.content.files.model import Buckets, parse_buckets
from server.domains.content.files.replays import Replays
from server.domains.content.files.settings import FileSettings
from server.domains.content.files.supabase_clients import StorageClients
from server.domains.content.files.supabase_storage import SIGNED_S_MAX, SupabaseStorage
from server.domains.content.files.supabase_uploads import SupabaseUploads
from server.domains.content.files.uploads import UploadLimits, Uploads, upload_limiter
from server.domains.contract import Domain, Job, provide
from server.domains.interfaces import (
    Authenticator,
    FileUploads,
    ImageIntake,
    LobbyAccess,
    StoredFiles,
    TokenScope,
    TokenScopes,
)
from server.domains.services import Services
from server.gamekit.fold import AnyRuleset
from server.gateway.http.endpoints import Authenticate, Endpoint
from server.gateway.supabase_keys import ApiKeys


def build(services: Services) -> Domain:
    """Put the domain together."""
    settings, objects = services.settings(FileSettings), services.objects
    buckets = parse_buckets(settings.files_buckets)
    files = Files(
        database=services.database,
        rls=services.rls,
        objects=objects,
        tokens=services.interfaces.get(TokenScopes)("upload", settings.upload_url_s),
        clock=services.clock,
        folder=services.config.data_dir / "uploads",
        limits=UploadLimits(
            settings.upload_url_s,
            settings.files_bytes_per_user,
            services.shared_limits.add(upload_limiter(settings.uploads_per_minute)),
        ),
        rulesets=services.rulesets,
        buckets=buckets,
        images=services.interfaces.get(ImageIntake),
    )
    authenticate = services.interfaces.get(Authenticator).authenticate

    mounts: list[Callable[[web.Application], None]] = [lambda app: files.mount(app, authenticate)]
    if services.config.supabase_api_secret is not None:
        secret = services.config.supabase_api_secret.get_secret_value()
        clients = StorageClients(ApiKeys(secret), authenticate)
        resumable = SupabaseUploads(
            clients=clients,
            files=files.store,
            parts=PartStore(services.database),
            uploads=files.uploads,
            objects=objects,
            buckets=buckets,
            clock=services.clock,
            folder=services.config.data_dir / "uploads",
        )
        storage = SupabaseStorage(
            clients=clients,
            store=files.store,
            objects=objects,
            uploads=files.uploads,
            serving=files.serving(authenticate),
            tokens=services.interfaces.get(TokenScopes)("storage", SIGNED_S_MAX),
            clock=services.clock,
            folder=services.config.data_dir / "uploads",
            buckets=buckets,
        )
        mounts += [resumable.mount, storage.mount]

    async def start() -> None:
        objects.open()

    return Domain(
        name="files",
        settings=FileSettings,
        endpoints=files.endpoints(services.interfaces.get(LobbyAccess).may_upload_replay),
        mounts=mounts,
        provides=[provide(StoredFiles, files), provide(FileUploads, files)],
        start=[start],
        jobs=[Job("files", files.maintenance.run)],
        retention=[RetentionSweep("file_uploads", files.store.expire_uploads)],
    )


class Files:
    """Uploads, reads, replays and maintenance of one node; `folder` is for uploads under way."""

    def __init__(
        self,
        *,
        database: Database,
        rls: RlsDatabase,
        objects: ObjectStorage,
        tokens: TokenScope,
        clock: Clock,
        folder: Path,
        limits: UploadLimits,
        rulesets: Mapping[str, AnyRuleset],
        buckets: Buckets,
        images: ImageIntake,
    ) -> None:
        self.objects = objects
        self._buckets = buckets
        self.store = FileStore(database, rls)
        self.uploads = Uploads(
            store=self.store,
            objects=objects,
            tokens=tokens,
            clock=clock,
            folder=folder,
            limits=limits,
            buckets=buckets,
            images=images,
        )
        self.replays = Replays(
            store=ReplayStore(database, objects),
            files=self.store,
            uploads=self.uploads,
            clock=clock,
            rulesets=rulesets,
            buckets=buckets,
        )
        self.maintenance = FileMaintenance(store=self.store, objects=objects, replays=self.replays)

    def endpoints(self, may_report: MayReport) -> list[Endpoint]:
        """List the addresses that are described."""
        routes = FileRoutes(store=self.store, uploads=self.uploads, may_report=may_report)
        return routes.endpoints()

    def mount(self, app: web.Application, authenticate: Authenticate) -> None:
        """Serve the bytes themselves."""
        self.serving(authenticate).add_to(app)

    def serving(self, authenticate: Authenticate) -> FileServing:
        """Make what sends and takes in the bytes."""
        return FileServing(
            store=self.store,
            objects=self.objects,
            uploads=self.uploads,
            authenticate=authenticate,
            buckets=self._buckets,
        )

    async def announce_at(
        self, who: Requester, bucket: str, stem: str, *, size: int, content_type: str
    ) -> Upload:
        """Allow an upload to a path without its ending, which the type gives."""
        path = f"{stem}.{rules.ending_of(bucket, content_type, self._buckets)}"
        new = NewUpload(bucket=bucket, path=path, size=size, content_type=content_type)
        return await self.uploads.announce(who, new)

    async def find_missing(self, links: Collection[str]) -> list[str]:
        """Say which of these (bucket/path) are not stored."""
        return await self.store.find_missing(links)
