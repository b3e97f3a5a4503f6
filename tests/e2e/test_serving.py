"""A server's life, as an operator sees it."""

import json
import urllib.request
from pathlib import Path

from tests.fixtures.node import Node


def get(url: str) -> dict[str, object]:
    with urllib.request.urlopen(url) as response:
        body: dict[str, object] = json.load(response)
        return body


def test_node_serves_and_goes_away_with_status_0(tmp_path: Path, serving_dsn: str) -> None:
    with Node(tmp_path, serving_dsn) as node:
        assert get(f"{node.url}/readyz") == {"status": "ok"}
        assert get(f"{node.url}/v1/status")["games"] == 0
        assert node.stop() == 0


def test_node_keeps_its_name_over_a_restart(tmp_path: Path, serving_dsn: str) -> None:
    names = []
    for _ in range(2):
        with Node(tmp_path, serving_dsn) as node:
            names.append(get(f"{node.url}/v1/status")["node"])
            node.kill()
    assert names[0] == names[1]
