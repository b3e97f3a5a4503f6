"""`/v1/images`: what came of an uploaded image."""

from typing import Final

from persistence.images.store import ImageStore
from protocol.images import Image, ImageNotFound
from server.gateway.http.endpoints import Endpoint, HttpRequest

TAG: Final = "files"


class ImageRoutes:
    """The address of images."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store

    def endpoints(self) -> list[Endpoint]:
        """List it."""
        return [
            Endpoint(
                "GET",
                "/v1/images/{bucket}/{path:.+}",
                "Read what came of an image that you uploaded.",
                self._read,
                auth="required",
                answer=Image,
                errors=(ImageNotFound,),
                tag=TAG,
            )
        ]

    async def _read(self, request: HttpRequest) -> Image:
        bucket, path = request.path["bucket"], request.path["path"]
        if "\0" in bucket + path:  # which no text of the database contains
            raise ImageNotFound
        record = await self._store.read(request.who.requester, bucket, path)
        if record is None:
            raise ImageNotFound
        return Image(url=f"/files/{bucket}/{path}", **record)
