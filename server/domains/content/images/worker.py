"""Processing one image, in a process of its own that ends with it.

Decoders of images are large, written in C, and here read what strangers send. So this process
has nothing that is worth having: no secrets in its environment, no files but the three that it is
given (the image on stdin, the cleaned image and the thumbnail as descriptors), and bounds of
the kernel on its memory, its CPU time and what it writes. What it has to say is one line of JSON on
stdout: what the image is, or why it is refused. A process that is killed by a bound says nothing.

    python -m server.domains.content.images.worker <bounds and descriptors>
"""

import io
import json
import os
import resource
import signal
import sys
import warnings
from typing import IO, Any, Final, NamedTuple

THUMBNAIL_EDGE: Final = 512  # pixels
BLURHASH_EDGE: Final = 32
BLURHASH_PARTS: Final = (4, 3)
NICENESS: Final = 15  # after moves, and after passwords
WRITTEN_SPARE_BYTES: Final = 64 * 1024 * 1024
ORPHAN_S: Final = 120  # beyond its CPU time; the server kills it before that


class ImageTask(NamedTuple):
    """What to do, as its arguments say it."""

    content_type: str
    bytes_max: int
    pixels_max: int
    frames_max: int
    memory_bytes_max: int
    seconds_max: int
    image_fd: int
    thumbnail_fd: int


class Refused(Exception):
    """The image is refused; the code says why."""


_FORMATS: Final = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/gif": "GIF",
    "image/webp": "WEBP",
}


def main() -> None:
    """Process the image on stdin."""
    kind, *numbers = sys.argv[1:]
    task = ImageTask(kind, *map(int, numbers))
    _limit(task)
    try:
        said = process(task, sys.stdin.buffer)
    except Refused as refused:
        said = {"refused": str(refused)}
    except MemoryError:
        said = {"refused": "too_large"}
    sys.stdout.write(json.dumps(said))


def _limit(task: ImageTask) -> None:
    os.nice(NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.alarm(task.seconds_max + ORPHAN_S)  # for when nobody is left to kill it
    for name, bound in (
        (resource.RLIMIT_AS, task.memory_bytes_max),
        (resource.RLIMIT_CPU, task.seconds_max),
        (resource.RLIMIT_FSIZE, task.bytes_max * 2 + WRITTEN_SPARE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(name, (bound, bound))


def process(task: ImageTask, source: IO[bytes]) -> dict[str, Any]:
    """Clean an image and make its thumbnail; raise `Refused`."""
    # Imported here: within the bounds, and by nobody who only wants to know the task's form.
    from PIL import Image

    from server.domains.content.images.formats import MalformedImage, clean

    Image.MAX_IMAGE_PIXELS = None  # ours is checked before anything is decoded
    content = source.read(task.bytes_max + 1)
    if len(content) > task.bytes_max:
        raise Refused("too_large")
    try:
        cleaned = clean(content, task.content_type)
    except MalformedImage:
        raise Refused("not_an_image") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            # How it is turned is said by the metadata; everything else is read of what is kept.
            turned = _orientation(content, task)
            return _process(task, cleaned, turned)
        except Refused:
            raise
        except (OSError, ValueError, SyntaxError, EOFError, TypeError, KeyError, IndexError):
            raise Refused("not_an_image") from None


def _open(content: bytes, task: ImageTask) -> Any:
    from PIL import Image

    image = Image.open(io.BytesIO(content), formats=[_FORMATS[task.content_type]])
    width, height = image.size
    if width * height > task.pixels_max:
        raise Refused("too_large")
    return image


def _orientation(content: bytes, task: ImageTask) -> int:
    image = _open(content, task)
    value = image.getexif().get(0x0112, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _process(task: ImageTask, cleaned: bytes, orientation: int) -> dict[str, Any]:
    image = _open(cleaned, task)
    frames = getattr(image, "n_frames", 1)
    if frames > task.frames_max:
        raise Refused("too_many_frames")
    if frames == 1 and orientation != 1:
        cleaned = _turned(image, orientation)
        image = _open(cleaned, task)
    width, height = image.size
    image.load()  # the first frame, to its end: an image that is cut off is refused
    _write(task.image_fd, cleaned)
    profile = image.info.get("icc_profile")
    small = _flattened(image)
    small.thumbnail((THUMBNAIL_EDGE, THUMBNAIL_EDGE))
    out = io.BytesIO()
    small.save(out, "WEBP", quality=80, icc_profile=profile if image.mode != "CMYK" else None)
    _write(task.thumbnail_fd, out.getvalue())
    return {
        "width": width,
        "height": height,
        "size": len(cleaned),
        "thumbnail_size": len(out.getvalue()),
        "blurhash": _blurhash(small),
    }


def _turned(image: Any, orientation: int) -> bytes:
    """Turn the pixels as the metadata said, and encode them as they were encoded."""
    from PIL import Image, JpegImagePlugin

    ways = Image.Transpose
    way = {
        2: ways.FLIP_LEFT_RIGHT,
        3: ways.ROTATE_180,
        4: ways.FLIP_TOP_BOTTOM,
        5: ways.TRANSPOSE,
        6: ways.ROTATE_270,
        7: ways.TRANSVERSE,
        8: ways.ROTATE_90,
    }[orientation]
    profile = image.info.get("icc_profile")
    options: dict[str, Any] = {}
    if image.format == "JPEG":
        # Its own tables: coarser ones would lose more, finer ones only make it larger. Chroma that
        # is halved in one direction would have to be halved in the other, so it is kept whole.
        sampling = JpegImagePlugin.get_sampling(image)
        options = {"qtables": image.quantization, "subsampling": sampling if sampling != 1 else 0}
    elif image.format == "WEBP":
        options = {"quality": 95}
    turned = image.transpose(way)
    turned.info.clear()
    out = io.BytesIO()
    turned.save(out, image.format, icc_profile=profile, **options)
    return out.getvalue()


def _flattened(image: Any) -> Any:
    has_alpha = image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
    if image.mode.startswith("I"):  # 16 bits: the upper ones
        image = image.point(lambda value: value / 256).convert("L")
    return image.convert("RGBA" if has_alpha else "RGB")


def _blurhash(small: Any) -> str:
    import blurhash
    from PIL import Image

    tiny = Image.new("RGB", small.size, "white")
    tiny.paste(small, mask=small.getchannel("A") if small.mode == "RGBA" else None)
    tiny.thumbnail((BLURHASH_EDGE, BLURHASH_EDGE))
    width, height = tiny.size
    pixels = [[tiny.getpixel((x, y)) for x in range(width)] for y in range(height)]
    return str(blurhash.encode(pixels, *BLURHASH_PARTS))


def _write(descriptor: int, content: bytes) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


if __name__ == "__main__":
    main()
