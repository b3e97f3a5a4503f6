"""Where objects are kept."""

from pathlib import Path

import pytest

from persistence.errors import StartRefused
from persistence.objects import ObjectStorage


@pytest.mark.parametrize("url", ["nonsense", "s3://", "ftp://host/folder", "/a/folder"])
def test_store_that_is_none_stops_the_start_with_a_remedy(url: str, tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match="PLAYHALL_FILES_URL reads like s3://"):
        ObjectStorage(url, folder=tmp_path).open()


def test_folder_that_cannot_be_made_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartRefused, match="cannot be kept at"):
        ObjectStorage("", folder=tmp_path / "file" / "files").open()
