"""`/v1/files`: announcing uploads, deleting files; replays of matches between peers."""

from collections.abc import Awaitable, Callable

from persistence.files import FileStore
from protocol.codec import validate
from protocol.contenterrors import FileMissing, FileTaken, QuotaExceeded
from protocol.errors import Forbidden
from protocol.files import FileDeleted, NewReplay, NewUpload, Upload
from protocol.ids import MatchId, PlayerId
from protocol.record import MatchPath
from server.domains.files import answers, rules
from server.domains.files.uploads import Uploads
from server.gateway.http import Endpoint, HttpRequest

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
                "Announce a file of yours; PUT its bytes to the URL that you get.",
                self._announce,
                auth="required",
                body=NewUpload,
                answer=Upload,
                errors=(FileTaken, QuotaExceeded),
                tag=TAG,
            ),
            Endpoint(
                "DELETE",
                "/v1/files/{bucket}/{path:.+}",
                "Delete a file of yours.",
                self._delete,
                auth="required",
                answer=FileDeleted,
                errors=(FileMissing,),
                tag=TAG,
            ),
            Endpoint(
                "POST",
                "/v1/matches/{match_id}/replay",
                "Announce the replay of a match between peers that you reported.",
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
        if not rules.is_path(bucket, path):
            raise FileMissing
        if not await self._store.delete(request.who.requester, bucket, path):
            raise FileMissing("You have no such file.")
        return FileDeleted(url=answers.url_of(bucket, path))

    async def _announce_replay(self, request: HttpRequest) -> Upload:
        match_id = validate(MatchPath, {"match_id": request.path["match_id"]}).match_id
        if not await self._may_report(match_id, request.who.player_id):
            raise Forbidden("Only the host who reported this match may send its replay.")
        new: NewReplay = request.body
        return await self._uploads.announce_replay(match_id, new)
