"""What a server keeps in its folder is for its own user alone, whatever the umask."""

import json
import os
import stat
import time
import urllib.request
from pathlib import Path

import pytest

from tests.fixtures.node import Node

WAIT_S = 30


def open_to_others(folder: Path) -> list[str]:
    """List what others have rights to; PostgreSQL's user may pass through root's folders."""
    found = []
    for path in (folder, *folder.rglob("*")):
        status = path.lstat()
        mode = stat.S_IMODE(status.st_mode)
        is_passage = path.is_dir() and mode == 0o710 and os.geteuid() == 0
        if mode & 0o077 and not stat.S_ISSOCK(status.st_mode) and not is_passage:
            found.append(f"{path} {mode:o}")
    return found


def ask(url: str, body: object) -> None:
    sent = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(sent) as answer:
        answer.read()


@pytest.mark.parametrize("umask", [0, 0o077])
def test_everything_is_private_from_the_first_start_on(data_dir: Path, umask: int) -> None:
    root = data_dir.parent
    root.chmod(0o755)
    before = os.umask(umask)
    try:
        node = Node(root, None).start()
    finally:
        os.umask(before)
    try:
        ask(f"{node.url}/v1/auth/email", {"email": "ann@example.org"})
        deadline = time.monotonic() + WAIT_S
        while not list(root.glob("mail/*.eml")):
            assert time.monotonic() < deadline, "no mail was written"
            time.sleep(0.05)
        assert open_to_others(root) == []
        made = {path.name for path in root.iterdir()}
        assert {"postgres", "files", "mail", "node", "secret.key"} <= made
    finally:
        node.kill()


def test_what_an_earlier_version_left_open_is_closed(tmp_path: Path, serving_dsn: str) -> None:
    root = tmp_path / "data"
    for folder in ("files/user-assets/a", "uploads", "mail"):
        (root / folder).mkdir(parents=True)
    for file in ("files/user-assets/a/b", "mail/1.eml", "node"):
        (root / file).write_text("abc123")
    for path in (root, *root.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    with Node(root, serving_dsn):
        assert open_to_others(root) == []
        assert (root / "node").read_text() == "abc123"


def test_a_folder_that_holds_other_things_is_left_open_with_a_warning(
    tmp_path: Path, serving_dsn: str
) -> None:
    root = tmp_path / "shared"
    (root / "photos").mkdir(parents=True)
    root.chmod(0o755)
    with Node(root, serving_dsn) as node:
        assert stat.S_IMODE(root.stat().st_mode) == 0o755
        assert any("can be read by other users" in line for line in node.output)
        assert open_to_others(root / "files") == []
