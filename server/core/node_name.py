"""What this node is called.

The first process on a data folder has the folder's own name, so that after a restart it
takes its games up at once; any further process there draws a name for itself.

The name is in the file `node`, and whoever has the name holds a lock on that very file. To give
the file a name is to put another file in its place, which is locked before it is there.
"""

import fcntl
import os
import re
import secrets
from pathlib import Path
from typing import IO, Final

from persistence.private_files import make_folder, open_private, sync_folder

NAME_BYTES = 6
NAME: Final = re.compile(r"[0-9A-Za-z._-]{1,64}")


class NodeName:
    """A node's name, held for as long as the context lasts."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "node"
        self._held: IO[bytes] | None = None

    def __enter__(self) -> str:
        make_folder(self._path.parent)
        self._held = self._lock()
        if self._held is None:
            return secrets.token_hex(NAME_BYTES)
        name = self._held.read().decode("ascii", "replace").strip()
        # A power failure may have left an empty file, or one of zeros.
        return name if NAME.fullmatch(name) else self._replace(self._held)

    def __exit__(self, *_: object) -> None:
        if self._held is not None:
            self._held.close()

    def _lock(self) -> IO[bytes] | None:
        """Lock the file; None if another process has it."""
        while True:
            file = open_private(self._path, "a+b")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                return None
            if self._is_current(file):
                file.seek(0)
                return file
            file.close()  # another process has put a new file in its place meanwhile

    def _is_current(self, file: IO[bytes]) -> bool:
        try:
            return os.path.samestat(os.fstat(file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False

    def _replace(self, old: IO[bytes]) -> str:
        """Put a file with a new name in the place of the one that is locked."""
        name = secrets.token_hex(NAME_BYTES)
        draft = self._path.with_name(f".node.{name}.unfinished")
        file = open_private(draft, "xb")
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(name.encode("ascii"))
        file.flush()
        os.fsync(file.fileno())
        draft.replace(self._path)
        sync_folder(self._path.parent)
        self._held = file
        old.close()
        return name
