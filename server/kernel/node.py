"""What this node is called.

The first process on a data folder has the folder's own name, so that after a restart it
takes its games up at once; any further process there draws a name for itself.
"""

import fcntl
import secrets
from pathlib import Path
from typing import IO

NAME_BYTES = 6


class NodeName:
    """A node's name, held for as long as the context lasts."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "node"
        self._held: IO[str] | None = None

    def __enter__(self) -> str:
        self._held = self._path.open("a+", encoding="ascii")
        return self._claim(self._held)

    def __exit__(self, *_: object) -> None:
        if self._held is not None:
            self._held.close()

    def _claim(self, file: IO[str]) -> str:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            self._held = None
            return secrets.token_hex(NAME_BYTES)
        file.seek(0)
        name = file.read().strip()
        if not name:
            name = secrets.token_hex(NAME_BYTES)
            file.write(name)
            file.flush()
        return name
