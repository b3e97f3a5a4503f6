"""The process of one image: every kind of pixels, and its bounds."""

import io
from tempfile import TemporaryFile
from typing import Any

import pytest
from PIL import Image

from persistence.images.store import ImageFacts
from server.domains.content.images.process import (
    ImageFiles,
    ImageRefused,
    WorkerDied,
    process_image,
)
from server.domains.content.images.settings import ImageSettings

MIB = 1024 * 1024


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


async def processed(content: bytes, kind: str, **settings: int) -> tuple[ImageFacts, Image.Image]:
    """Process an image; give what it shows and its thumbnail."""
    with TemporaryFile() as source, TemporaryFile() as cleaned, TemporaryFile() as thumbnail:
        source.write(content)
        source.flush()
        files = ImageFiles(source, cleaned, thumbnail)
        bounds = ImageSettings(**settings)
        facts = await process_image(
            files, f"image/{kind.lower()}", bytes_max=len(content), settings=bounds
        )
        thumbnail.seek(0)
        return facts, Image.open(io.BytesIO(thumbnail.read()))


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        *(("CMYK", "JPEG"), ("L", "JPEG"), ("1", "PNG"), ("P", "PNG"), ("LA", "PNG")),
        *(("RGBA", "PNG"), ("I;16", "PNG"), ("RGBA", "WEBP"), ("P", "GIF")),
    ],
)
async def test_each_kind_of_pixels_is_processed(mode: str, kind: str) -> None:
    picture = Image.new(mode, (700, 60))
    facts, thumbnail = await processed(encoded(picture, kind), kind)
    assert (facts.width, facts.height) == (700, 60)
    assert thumbnail.size == (512, 44)


async def test_bounds_are_kept() -> None:
    wide = encoded(Image.new("1", (4000, 3000)), "PNG")
    with pytest.raises(ImageRefused, match="too_large"):
        await processed(wide, "PNG", pixels_max=4000 * 3000 - 1)
    frames = [Image.new("1", (8, 8), n % 2) for n in range(5)]
    animated = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    with pytest.raises(ImageRefused, match="too_many_frames"):
        await processed(animated, "GIF", frames_max=4)
    # Within the pixels that are allowed, but not within the memory: it is refused, or killed.
    large = encoded(Image.new("1", (12_000, 8_000)), "PNG")
    with pytest.raises((ImageRefused, WorkerDied)):
        await processed(large, "PNG", pixels_max=100_000_000, memory_bytes_max=256 * MIB)
