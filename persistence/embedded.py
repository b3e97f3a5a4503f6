"""The bundled PostgreSQL, as something that a process starts, shares and stops.

    <data_dir>/lock         held while anybody starts or stops the server
    <data_dir>/users        share-locked by every process that uses it; the last one stops it
    <data_dir>/cluster/     PostgreSQL's own folder

The locks are the kernel's, so a killed process holds none. Linux and macOS only.
"""

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from persistence.cluster import Cluster
from persistence.privatefiles import make_folder, open_private
from persistence.refusals import UnusableFolder

SETTINGS: Final[Mapping[str, str]] = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "wal_compression": "pglz",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}


class EmbeddedPostgres:
    """One process's hold on a bundled server; any number of processes may share a folder."""

    def __init__(self, *, settings: Mapping[str, str] = SETTINGS) -> None:
        self._settings = settings
        self._data_dir: Path | None = None
        self._use: IO[bytes] | None = None

    def is_in(self, data_dir: Path) -> bool:
        """Say whether there is a server's folder to start; raise `UnusableFolder`."""
        try:
            return (data_dir.expanduser() / "cluster" / "PG_VERSION").exists()
        except OSError as error:
            raise UnusableFolder(
                f"The data folder {data_dir} cannot be read ({error.strerror}); "
                "run this as the user who runs the server."
            ) from error

    def start(self, data_dir: Path) -> str:
        """Start the server, or join it if it runs; make the folder if there is none.

        Returns the data source name; raises `UnusableFolder`. Blocks: about two seconds
        for a new folder, a fraction of one for an existing one.
        """
        data_dir = data_dir.expanduser().resolve()
        try:
            make_folder(data_dir)
            with _locked(data_dir / "lock"):
                cluster = Cluster(data_dir / "cluster")
                cluster.ensure_made()
                cluster.ensure_running(self._settings)
                self._use = open_private(data_dir / "users", "ab")
                fcntl.flock(self._use, fcntl.LOCK_SH)
        except OSError as error:
            raise UnusableFolder(
                f"The data folder {data_dir} cannot be used ({error.strerror}); "
                "choose another one, or give this user the right to write there."
            ) from error
        self._data_dir = data_dir
        return cluster.dsn

    def stop(self) -> None:
        """Let go of the server, and stop it if nobody else uses it."""
        if self._use is None or self._data_dir is None:
            return
        with _locked(self._data_dir / "lock"):
            self._use.close()
            self._use = None
            if _unused(self._data_dir / "users"):
                Cluster(self._data_dir / "cluster").stop()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with open_private(path, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _unused(path: Path) -> bool:
    with open_private(path, "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
