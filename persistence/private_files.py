"""Files that only we may read, and that survive a power failure once they are written.

A file is written under another name, synced, renamed, and then its folder is synced, because a
rename without that may be undone, and a rename without the first sync may leave an empty file:

    write temporary file ─▶ fsync it ─▶ rename it ─▶ fsync the folder ─▶ acknowledged

Whoever reads sees the whole file or none. Modes do not depend on the umask: files are 0600,
folders 0700.
"""

import errno
import logging
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, Literal

log = logging.getLogger(__name__)

FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700
# A folder of root's that one more user may pass through: see `persistence.cluster`.
PASSAGE_MODE: Final = 0o710
UNFINISHED: Final = ".unfinished"  # the end of temporary files' names
FORGOTTEN_AFTER_S: Final = 3600.0  # nothing takes longer to write
COPY_BYTES: Final = 256 * 1024


def make_folder(path: Path) -> None:
    """Make a private folder, and those above it that are missing; it survives a power failure."""
    if path.is_dir():
        return
    make_folder(path.parent)
    try:
        path.mkdir(FOLDER_MODE)
    except FileExistsError:
        if not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from None
        return
    path.chmod(FOLDER_MODE)  # a strict umask may have taken our own rights
    sync_folder(path.parent)


def write_file(path: Path, content: bytes | IO[bytes], *, beside: Path | None = None) -> None:
    """Write a private file in place of one that may be there; blocks until it is durable.

    The temporary file is in the same folder, or in `beside`, on the same file system.
    """
    with _unfinished(beside or path.parent, path.name) as (temporary, file):
        _fill(file, content)
        temporary.replace(path)
    sync_folder(path.parent)


def write_new_file(path: Path, content: bytes) -> bool:
    """Write a private file unless there is one; False if another process was first."""
    with _unfinished(path.parent, path.name) as (temporary, file):
        _fill(file, content)
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            return False
        finally:
            sync_folder(path.parent)  # the other process's file may not be synced yet
    return True


def open_private(path: Path, mode: Literal["ab", "a+b", "xb"]) -> IO[bytes]:
    """Open a file of ours, private from its first moment if it is new."""
    return open(path, mode, opener=_opener)


def sync_folder(path: Path) -> None:
    """Make the names in a folder survive a power failure."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def delete_unfinished(folder: Path) -> None:
    """Delete temporary files that a killed process left in a folder."""
    for left in folder.glob(f".*{UNFINISHED}"):
        try:
            if time.time() - left.stat().st_mtime > FORGOTTEN_AFTER_S:
                left.unlink()
        except FileNotFoundError:
            continue


def restrict_to_owner(data_dir: Path, *, ours: frozenset[str]) -> None:
    """Take others' rights from a data folder and all that is ours in it.

    Files that were made by an earlier version, or copied, may be open to all. `ours` are the names
    of what we keep there; if there is anything else, the folder itself stays as it is. What belongs
    to another user is left, with a warning.
    """
    delete_unfinished(data_dir)
    found = {entry.name for entry in data_dir.iterdir() if not entry.name.endswith(UNFINISHED)}
    for name in sorted(found & ours):
        _close(data_dir / name)
    if found <= ours:
        _close_one(data_dir)
    elif stat.S_IMODE(data_dir.stat().st_mode) & 0o077:
        log.warning(
            "%s can be read by other users (mode %o); it is left so, because it holds other things "
            "as well. Give Playhall a folder of its own, or run: chmod 700",
            data_dir,
            stat.S_IMODE(data_dir.stat().st_mode),
        )


def _close(path: Path) -> None:
    """Close a file, or a folder: what is in it first, so that a closed one is done with."""
    if not _is_open(path):
        return
    if path.is_dir():
        for entry in path.iterdir():
            _close(entry)
    _close_one(path)


def _close_one(path: Path) -> None:
    if not _is_open(path):
        return
    try:
        path.chmod(FOLDER_MODE if path.is_dir() else FILE_MODE)
    except PermissionError:
        log.warning(
            "%s can be read by other users, and belongs to another one, so its mode cannot be "
            "changed; run as its owner: chmod go-rwx",
            path,
        )


def _is_open(path: Path) -> bool:
    """Say whether others have rights. What a symbolic link leads to is not ours to change."""
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return False
    mode = stat.S_IMODE(status.st_mode)
    is_passage = stat.S_ISDIR(status.st_mode) and mode == PASSAGE_MODE and os.geteuid() == 0
    return bool(mode & 0o077) and not is_passage


@contextmanager
def _unfinished(folder: Path, name: str) -> Iterator[tuple[Path, IO[bytes]]]:
    temporary = folder / f".{name}.{secrets.token_hex(4)}{UNFINISHED}"
    try:
        with open_private(temporary, "xb") as file:
            yield temporary, file
    finally:
        temporary.unlink(missing_ok=True)


def _fill(file: IO[bytes], content: bytes | IO[bytes]) -> None:
    if isinstance(content, bytes):
        file.write(content)
    else:
        shutil.copyfileobj(content, file, COPY_BYTES)
    file.flush()
    os.fsync(file.fileno())


def _opener(path: str, flags: int) -> int:
    descriptor = os.open(path, flags, FILE_MODE)
    if flags & os.O_EXCL:
        os.fchmod(descriptor, FILE_MODE)  # a strict umask may have taken our own rights
    return descriptor
