"""The power fails at any moment: the server starts again, and what it acknowledged is there."""

import json
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from tests.faults.conftest import Rounds
from tests.faults.power import (
    COMPILER,
    LOST,
    TORN,
    Image,
    Journal,
    build_shim,
    disk_after,
    write_image,
)
from tests.fixtures.node import Node

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(COMPILER is None, reason="needs a C compiler"),
]


class Upload(NamedTuple):
    """A file whose upload was acknowledged, and how long the journal was by then."""

    url: str
    content: bytes
    at: int


def ask(method: str, url: str, body: bytes | None = None, **headers: str) -> bytes:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, data=body, headers=named, method=method)
    with urllib.request.urlopen(request) as answer:
        answered: bytes = answer.read()
    return answered


def ask_json(method: str, url: str, body: Any, **headers: str) -> Any:
    sent = json.dumps(body).encode()
    return json.loads(ask(method, url, sent, content_type="application/json", **headers))


def upload(node: Node, number: int, journal: Journal) -> Upload:
    """Upload a file as a new guest."""
    guest = ask_json("POST", f"{node.url}/v1/auth/guest", {})
    bearer = f"Bearer {guest['access_token']}"
    content = b"glTF" + bytes([number]) * (5_000 * number)
    new = {
        "bucket": "user-assets",
        "path": f"{guest['user_id']}/{uuid4()}/model.glb",
        "size": len(content),
        "content_type": "model/gltf-binary",
    }
    announced = ask_json("POST", f"{node.url}/v1/files/uploads", new, authorization=bearer)
    address = node.url + announced["upload_url"]
    ask("PUT", address, content, content_type="model/gltf-binary")
    return Upload(announced["url"], content, len(journal))


def recorded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, root: Path, journal: Journal) -> None:
    """Have every process that is started from here on keep the journal."""
    monkeypatch.setenv("LD_PRELOAD", str(build_shim(tmp_path)))
    monkeypatch.setenv("POWER_ROOT", str(root))
    monkeypatch.setenv("POWER_JOURNAL", str(journal.file))


def test_what_was_acknowledged_survives_a_power_failure_at_any_moment(
    tmp_path: Path, serving_dsn: str, monkeypatch: pytest.MonkeyPatch, rounds: Rounds
) -> None:
    root, journal = tmp_path / "data", Journal(tmp_path / "journal")
    root.mkdir()
    with monkeypatch.context() as patch:
        recorded(patch, tmp_path, root, journal)
        node = Node(root, serving_dsn)
    with node:
        ready_at = len(journal)
        uploads = [upload(node, number, journal) for number in range(1, 4)]
    operations = journal.operations()
    assert ready_at > 0, "the journal is kept"
    name = disk_after(operations, root).after_failure(TORN)["node"]
    assert name

    images: dict[str, tuple[Image, list[Upload]]] = {}
    for moment in range(len(operations) + 1):
        disk = disk_after(operations[:moment], root)
        kept = [each for each in uploads if each.at <= moment]
        for kind in (LOST, TORN):
            image = disk.after_failure(kind)
            stored = list(image.values())
            for each in kept:
                assert each.content in stored, f"{kind} after {moment}: {operations[moment - 1]}"
            if moment >= ready_at:
                assert image["node"] == name, f"{kind} after {moment}: the node's name is gone"
            images[str(sorted(image.items()))] = image, kept

    every = list(images.values())
    step = max(1, len(every) // rounds(3, 1000))
    for image, kept in [*every[::step], every[-1]]:
        write_image(image, root)
        with Node(root, serving_dsn) as again:
            for each in kept:
                assert ask("GET", again.url + each.url) == each.content
            if image.get("node") == name:
                assert (root / "node").read_bytes() == name


def test_the_key_that_seals_what_is_stored_survives_a_power_failure(
    tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, journal = data_dir.parent, Journal(tmp_path / "journal")
    with monkeypatch.context() as patch:
        recorded(patch, tmp_path, root, journal)
        node = Node(root, None)
    with node:
        ready_at = len(journal)
    key, operations = (root / "secret.key").read_bytes(), journal.operations()
    for moment in range(len(operations) + 1):
        for kind in (LOST, TORN):
            found = disk_after(operations[:moment], root).after_failure(kind).get("secret.key")
            if found is not None or moment >= ready_at:
                assert found == key, f"{kind} after {moment}"
    write_image(disk_after(operations, root).after_failure(LOST), root)
    with Node(root, None):
        assert (root / "secret.key").read_bytes() == key
