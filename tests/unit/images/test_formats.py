"""Copying images without what they tell besides."""

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from server.domains.content.images.formats import IMAGE_TYPES, MalformedImage, clean

SECRET = b"taken at home"
TAIL = b"PK\x03\x04 an archive"


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010E] = SECRET.decode()
    return exif


def _encoded(kind: str, *, frames: int = 1, **options: Any) -> bytes:
    images = [
        Image.effect_mandelbrot((60, 40), (-2, -1, 1, 1 + n), 30).convert("RGB")
        for n in range(frames)
    ]
    out = io.BytesIO()
    if frames > 1:
        options |= {"save_all": True, "append_images": images[1:], "duration": 50, "loop": 3}
    images[0].save(out, kind, **options)
    return out.getvalue() + TAIL


SAMPLES = {
    "jpeg": _encoded("JPEG", exif=_exif(), comment=SECRET),
    "jpeg progressive": _encoded("JPEG", exif=_exif(), progressive=True),
    "png": _encoded("PNG", exif=_exif()),
    "png animated": _encoded("PNG", frames=3, exif=_exif()),
    "gif": _encoded("GIF", comment=SECRET),
    "gif animated": _encoded("GIF", frames=3, comment=SECRET),
    "webp": _encoded("WEBP", exif=_exif(), xmp=SECRET),
    "webp lossless": _encoded("WEBP", exif=_exif(), lossless=True),
    "webp animated": _encoded("WEBP", frames=3, exif=_exif(), xmp=SECRET),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_pixels_are_kept_and_everything_else_goes(name: str) -> None:
    before = SAMPLES[name]
    after = clean(before, f"image/{name.split()[0]}")
    assert SECRET in before
    assert SECRET not in after
    assert TAIL not in after
    old, new = Image.open(io.BytesIO(before)), Image.open(io.BytesIO(after))
    assert getattr(old, "n_frames", 1) == getattr(new, "n_frames", 1)
    assert old.info.get("loop") == new.info.get("loop")
    for frame in range(getattr(old, "n_frames", 1)):
        old.seek(frame)
        new.seek(frame)
        assert old.convert("RGBA").tobytes() == new.convert("RGBA").tobytes()
        assert old.info.get("duration") == new.info.get("duration")
    assert clean(after, f"image/{name.split()[0]}") == after


@pytest.mark.parametrize("name", SAMPLES)
def test_other_types_are_refused(name: str) -> None:
    for content_type in IMAGE_TYPES - {f"image/{name.split()[0]}"}:
        with pytest.raises(MalformedImage):
            clean(SAMPLES[name], content_type)


@given(name=st.sampled_from(sorted(SAMPLES)), cut=st.floats(0, 1), data=st.data())
def test_damage_is_refused_or_cleaned(name: str, cut: float, data: st.DataObject) -> None:
    """Whatever comes, there is an answer: never another exception, never more than was sent."""
    content = bytearray(SAMPLES[name])
    at = int(cut * (len(content) - 1))
    content[at : at + 4] = data.draw(st.binary(max_size=8))
    try:
        cleaned = clean(bytes(content), f"image/{name.split()[0]}")
    except MalformedImage:
        return
    assert len(cleaned) <= len(content) + 16
