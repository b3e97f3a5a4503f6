"""Images on the wire: what came of an uploaded image."""

from typing import Final, Literal

from pydantic import Field

from protocol.envelope import WireModel
from protocol.errors import PlayhallError

ImageState = Literal["waiting", "ready", "failed"]
ImageError = Literal["not_an_image", "too_large", "too_many_frames", "processing_failed"]

STATE_HELP: Final = (
    "Of its image: waiting to be processed, ready, or failed. Null without an image, or where "
    "the server does not process images."
)
ERROR_HELP: Final = (
    "Why its image failed: not_an_image (it is not what its type says, or damaged), too_large, "
    "too_many_frames, or processing_failed (it took too much time or memory)."
)


class ImageNotFound(PlayhallError):
    """You have no such image, or the server did not process it."""

    code, status = "image_not_found", 404


class Image(WireModel):
    """What came of an image of yours; until it is ready, nobody else can read it."""

    url: str
    state: ImageState
    error: ImageError | None = Field(description=ERROR_HELP)
    width: int | None = Field(description="In pixels.")
    height: int | None = Field(description="In pixels.")
    blurhash: str | None
    thumbnail_url: str | None
