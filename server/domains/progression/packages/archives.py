"""Whether a package's bytes are safe to unpack: ZIP archives are read through, within bounds.

Anything else is the game's own format, which nobody here unpacks. What runs here blocks.
"""

import os
import re
import stat
import struct
import time
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import IO, Final

from protocol.packages import PackageRefused

ENTRIES_MAX: Final = 20_000
DIRECTORY_BYTES_MAX: Final = 4 * 1024 * 1024  # which is held in memory
CHECK_S_MAX: Final = 60.0
_MAGIC: Final = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_CHUNK_BYTES: Final = 256 * 1024
_ENCRYPTED: Final = 0x1
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_UNIX: Final = 3
_END: Final = struct.Struct("<4s4H2LH")
_END_MAGIC: Final = b"PK\x05\x06"
_ZIP64_MAGIC: Final = b"PK\x06\x07"
_TAIL_BYTES: Final = _END.size + 65_535 + 20  # with the longest comment, and zip64's locator


def check_archive(file: IO[bytes], *, unpacked_bytes_max: int) -> None:
    """Refuse an archive that is damaged, a bomb, or has names that lead elsewhere.

    Raises `PackageRefused`. What is no ZIP archive passes.
    """
    file.seek(0)
    if file.read(4) not in _MAGIC:
        return
    _check_end(file)
    try:
        with zipfile.ZipFile(file) as archive:
            _check_directory(archive, unpacked_bytes_max)
            _read_through(archive)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        ValueError,
        OSError,
    ) as error:
        raise PackageRefused(f"The ZIP archive is damaged: {error}.") from None


def _check_end(file: IO[bytes]) -> None:
    """Refuse an archive whose table of contents is too large to be read at all.

    Every place where the library may find the end record is looked at.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _TAIL_BYTES))
    tail = file.read()
    for found in re.finditer(re.escape(_END_MAGIC), tail):
        if tail[max(0, found.start() - 20) :].startswith(_ZIP64_MAGIC):
            raise PackageRefused("ZIP archives of more than 4 GiB (zip64) are not accepted.")
        record = tail[found.start() : found.start() + _END.size]
        if len(record) == _END.size:
            *_, entries, directory_bytes, _, _ = _END.unpack(record)
            if entries > ENTRIES_MAX or directory_bytes > DIRECTORY_BYTES_MAX:
                raise PackageRefused(f"The ZIP archive has more than {ENTRIES_MAX} entries.")


def _check_directory(archive: zipfile.ZipFile, unpacked_bytes_max: int) -> None:
    entries = archive.infolist()
    if len(entries) > ENTRIES_MAX:
        raise PackageRefused(f"The ZIP archive has more than {ENTRIES_MAX} entries.")
    names: set[str] = set()
    total = 0
    for entry in entries:
        _check_name(entry)
        if entry.filename.casefold() in names:
            raise PackageRefused(f"The ZIP archive has {_short(entry)} twice.")
        names.add(entry.filename.casefold())
        if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _METHODS:
            raise PackageRefused(f"{_short(entry)} is encrypted or compressed in an unusual way.")
        total += entry.file_size
        if total > unpacked_bytes_max:
            raise PackageRefused(
                f"The ZIP archive unpacks to more than {unpacked_bytes_max} bytes."
            )
    _check_overlaps(entries)


def _check_name(entry: zipfile.ZipInfo) -> None:
    # `orig_filename` has what the library cuts off behind a NUL.
    name = entry.orig_filename
    path = PurePosixPath(name)
    leads_elsewhere = path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name
    if leads_elsewhere or not name.strip("/ .") or not name.isprintable():
        raise PackageRefused(f"The name {_short(entry)} in the ZIP archive leads elsewhere.")
    mode = entry.external_attr >> 16
    is_plain = stat.S_IFMT(mode) == 0 or stat.S_ISREG(mode) or stat.S_ISDIR(mode)
    if entry.create_system == _UNIX and not is_plain:
        raise PackageRefused(f"{_short(entry)} in the ZIP archive is a link or a device.")


def _check_overlaps(entries: list[zipfile.ZipInfo]) -> None:
    """Refuse entries that share their compressed bytes, which is how small files become huge."""
    end = 0
    for entry in sorted(entries, key=lambda each: each.header_offset):
        if entry.header_offset < end:
            raise PackageRefused("Entries of the ZIP archive overlap.")
        end = entry.header_offset + entry.compress_size


def _read_through(archive: zipfile.ZipFile) -> None:
    """Inflate everything, which checks sizes and checksums; nothing is kept.

    The library never gives more of an entry than the directory says, and those sizes are bounded.
    """
    deadline = time.monotonic() + CHECK_S_MAX
    for entry in archive.infolist():
        with archive.open(entry) as content:
            while content.read(_CHUNK_BYTES):
                if time.monotonic() > deadline:
                    raise PackageRefused("The ZIP archive takes too long to unpack.")


def _short(entry: zipfile.ZipInfo) -> str:
    return repr(entry.orig_filename[:80])
