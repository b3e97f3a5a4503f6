"""A backup is restored somewhere else and checked, and one that is not good is found out."""

import os
from pathlib import Path

import orjson
import pytest

from persistence.backup import write_dump
from tests.integration.audit.conftest import Played, Playhall, archived_file


@pytest.mark.usefixtures("spoil")
def test_newest_backup_is_restored_and_checked_with_its_archived_games(
    played: Played, playhall: Playhall, tmp_path: Path
) -> None:
    assert playhall("archive", "--older-than", "0").exit_code == 0
    folder = tmp_path / "backups"
    folder.mkdir()
    write_dump(played.dsn, folder / "new.dump")
    (folder / "old.dump").write_bytes(b"older, and no dump")
    os.utime(folder / "old.dump", (0, 0))
    done = playhall("restore-check", folder, "--json")
    report = orjson.loads(done.output)
    assert (done.exit_code, report["holds"]) == (0, True), done.output
    assert report["file"] == str(folder / "new.dump")
    assert (report["games"], report["games_failed"], report["players_failed"]) == (2, 0, 0)
    assert report["rows"]["games"] == 2
    assert 0 < report["rows"]["events"] < 20  # the running game's; the other's are archived

    archived_file(played, tmp_path).unlink()
    done = playhall("restore-check", folder / "new.dump")
    assert done.exit_code == 1
    assert f"game {played.finished}: archive: The archived log" in done.output
    assert "The backup is NOT good" in done.output


def test_file_that_is_no_backup_is_refused(playhall: Playhall, tmp_path: Path) -> None:
    done = playhall("restore-check", tmp_path)
    assert (done.exit_code, "no *.dump in a folder" in done.output) == (1, True)
