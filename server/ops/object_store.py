"""The object store that is configured, for commands."""

from persistence.objects import ObjectStorage
from server.config import Config


def configured_store(config: Config) -> ObjectStorage:
    """Give the object store; it is opened once something in it is read or written."""
    return ObjectStorage(config.files_url, folder=config.data_dir / "files")
