"""Containers of images, copied without what is not needed to show them. Pure.

Pixels are not encoded again: what shows the image is copied byte by byte, so nothing is lost and
animations stay as they are. Each format has a list of what is copied; anything else, known or not,
is left out. Bytes after the image's end are left out too, so a file that is also a valid file of
another kind (an archive or a script behind an image) is only an image afterwards.
"""

import struct
from collections.abc import Callable, Iterator
from typing import Final

PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
ICC_BYTES_MAX: Final = 1024 * 1024
SEGMENTS_MAX: Final = 200_000  # of one file, so that no file is made of empty ones


class MalformedImage(Exception):
    """The file does not follow its format."""


def clean(content: bytes, content_type: str) -> bytes:
    """Copy an image without metadata; raise `MalformedImage`."""
    try:
        return b"".join(_FORMATS[content_type](content))
    except (struct.error, IndexError) as error:
        raise MalformedImage("it ends too early") from error


# ------------------------------------------------------------------ PNG

# What changes how the pixels look, and the frames of an animation.
_PNG_CHUNKS: Final = frozenset(
    b"IHDR PLTE IDAT IEND tRNS cHRM gAMA iCCP sBIT sRGB cICP mDCv cLLi bKGD pHYs "
    b"acTL fcTL fdAT".split()
)


def _clean_png(content: bytes) -> Iterator[bytes]:
    if not content.startswith(PNG_SIGNATURE):
        raise MalformedImage("it has no signature")
    yield PNG_SIGNATURE
    at = len(PNG_SIGNATURE)
    for _ in range(SEGMENTS_MAX):
        length, name = struct.unpack_from(">I4s", content, at)
        end = at + 12 + length
        if end > len(content):
            raise MalformedImage("a chunk ends behind the file")
        if name in _PNG_CHUNKS and not (name == b"iCCP" and length > ICC_BYTES_MAX):
            yield content[at:end]
        if name == b"IEND":
            return
        at = end
    raise MalformedImage("it has too many chunks")


# ------------------------------------------------------------------ JPEG

_SOI, _EOI, _SOS, _DQT, _DHT, _DRI, _DAC = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDD, 0xCC
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {_DHT, 0xC8, _DAC}
_NEEDED: Final = _FRAMES | {_DQT, _DHT, _DRI, _DAC}
_APP0, _APP2, _APP14 = 0xE0, 0xE2, 0xEE


def _clean_jpeg(content: bytes) -> Iterator[bytes]:
    if not content.startswith(b"\xff\xd8"):
        raise MalformedImage("it has no signature")
    yield b"\xff\xd8"
    at, icc_bytes = 2, 0
    for _ in range(SEGMENTS_MAX):
        if content[at] != 0xFF:
            raise MalformedImage("a marker is missing")
        while content[at] == 0xFF:  # a marker may be preceded by any number of these
            at += 1
        marker = content[at]
        at += 1
        if marker == _EOI:
            yield b"\xff\xd9"
            return
        (length,) = struct.unpack_from(">H", content, at)
        end = at + length
        if length < 2 or end > len(content):
            raise MalformedImage("a segment ends behind the file")
        body = content[at + 2 : end]
        if marker == _APP2 and body.startswith(b"ICC_PROFILE\0"):
            icc_bytes += length
            is_kept = icc_bytes <= ICC_BYTES_MAX
        elif marker == _APP0:
            body = body[:14]  # without the small image that may follow
            is_kept = body.startswith(b"JFIF\0") and len(body) == 14
            body = body[:12] + b"\0\0"
        else:
            is_kept = marker in _NEEDED or marker == _SOS
            is_kept = is_kept or (marker == _APP14 and body.startswith(b"Adobe"))
        if is_kept:
            yield struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
        at = end
        if marker == _SOS:
            at = _end_of_scan(content, start=end)
            yield content[end:at]
    raise MalformedImage("it has too many segments")


def _end_of_scan(content: bytes, *, start: int) -> int:
    """Find the first marker that is no part of compressed data: neither a zero nor a restart."""
    at = start
    while True:
        at = content.find(b"\xff", at)
        if at < 0 or at + 1 >= len(content):
            raise MalformedImage("it ends within its pixels")
        follows = content[at + 1]
        if follows == 0 or 0xD0 <= follows <= 0xD7:
            at += 2
        elif follows == 0xFF:
            at += 1
        else:
            return at


# ------------------------------------------------------------------ GIF


def _clean_gif(content: bytes) -> Iterator[bytes]:
    if content[:6] not in (b"GIF87a", b"GIF89a"):
        raise MalformedImage("it has no signature")
    at = 13 + _palette_bytes(content[10])
    yield content[:at]
    for _ in range(SEGMENTS_MAX):
        kind = content[at]
        if kind == 0x3B:
            yield b";"
            return
        if kind == 0x2C:
            start = at
            at = at + 10 + _palette_bytes(content[at + 9]) + 1
            at = _end_of_blocks(content, at)
            yield content[start:at]
        elif kind == 0x21:
            start, label = at, content[at + 1]
            at = _end_of_blocks(content, at + 2)
            # How long frames last; and of applications only how often the animation repeats.
            is_loop = label == 0xFF and content[start + 3 : start + 14] == b"NETSCAPE2.0"
            if label == 0xF9:
                yield content[start:at]
            elif is_loop and content[start + 14 : start + 16] == b"\x03\x01":
                yield content[start : start + 18] + b"\0"
        else:
            raise MalformedImage("a block is of no known kind")
    raise MalformedImage("it has too many blocks")


def _palette_bytes(flags: int) -> int:
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _end_of_blocks(content: bytes, at: int) -> int:
    while (length := content[at]) != 0:
        at += 1 + length
    return at + 1


# ------------------------------------------------------------------ WebP

_WEBP_CHUNKS: Final = frozenset([b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP"])
_FRAME_CHUNKS: Final = frozenset([b"VP8 ", b"VP8L", b"ALPH"])
_EXIF_AND_XMP: Final = 0x0C  # flags of VP8X
_ICC: Final = 0x20


def _clean_webp(content: bytes) -> Iterator[bytes]:
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP":
        raise MalformedImage("it has no signature")
    (size,) = struct.unpack_from("<I", content, 4)
    end = size + 8
    if size < 12 or end > len(content):
        raise MalformedImage("it ends behind the file")
    kept = []
    for name, body in _riff_chunks(content[:end], start=12):
        if name == b"VP8X":
            flags = body[0] & ~_EXIF_AND_XMP
            kept.append((name, bytes([flags]) + body[1:10]))
        elif name == b"ANMF":
            frame = _riff_chunks(body, start=16)
            parts = [_riff(part, data) for part, data in frame if part in _FRAME_CHUNKS]
            kept.append((name, body[:16] + b"".join(parts)))
        elif name in _WEBP_CHUNKS and not (name == b"ICCP" and len(body) > ICC_BYTES_MAX):
            kept.append((name, body))
    if not any(name == b"ICCP" for name, _ in kept):
        kept = [
            (name, bytes([body[0] & ~_ICC]) + body[1:] if name == b"VP8X" else body)
            for name, body in kept
        ]
    chunks = b"".join(_riff(name, body) for name, body in kept)
    yield struct.pack("<4sI4s", b"RIFF", len(chunks) + 4, b"WEBP")
    yield chunks


def _riff_chunks(content: bytes, *, start: int) -> Iterator[tuple[bytes, bytes]]:
    at = start
    for _ in range(SEGMENTS_MAX):
        if at >= len(content):
            return
        name, length = struct.unpack_from("<4sI", content, at)
        if at + 8 + length > len(content):
            raise MalformedImage("a chunk ends behind the file")
        yield name, content[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
    raise MalformedImage("it has too many chunks")


def _riff(name: bytes, body: bytes) -> bytes:
    return struct.pack("<4sI", name, len(body)) + body + b"\0" * (len(body) % 2)


_FORMATS: Final[dict[str, Callable[[bytes], Iterator[bytes]]]] = {
    "image/png": _clean_png,
    "image/jpeg": _clean_jpeg,
    "image/gif": _clean_gif,
    "image/webp": _clean_webp,
}
IMAGE_TYPES: Final = frozenset(_FORMATS)
