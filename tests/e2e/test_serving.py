"""A server's life, as an operator sees it."""

import json
import os
import signal
import time
import urllib.request
from pathlib import Path

import psycopg
import pytest

from tests.fixtures.node import Node

WAIT_S = 20


def get(url: str) -> dict[str, object]:
    with urllib.request.urlopen(url) as response:
        body: dict[str, object] = json.load(response)
        return body


def test_node_serves_and_goes_away_with_status_0(tmp_path: Path, serving_dsn: str) -> None:
    with Node(tmp_path, serving_dsn) as node:
        assert get(f"{node.url}/readyz") == {"status": "ok"}
        assert get(f"{node.url}/v1/status")["games"] == 0
        assert node.stop() == 0


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_second_signal_ends_a_node_that_cannot_finish(
    tmp_path: Path, serving_dsn: str, fresh_dsn: str, number: signal.Signals, status: int
) -> None:
    with Node(tmp_path, serving_dsn) as node, psycopg.connect(fresh_dsn) as connection:
        connection.execute("LOCK TABLE nodes IN ACCESS EXCLUSIVE MODE")  # the lease stays
        os.kill(node.pid, signal.SIGTERM)
        until_said(node, "going away")
        os.kill(node.pid, number)
        until_said(node, "Stopped at once. What was confirmed is kept.")
        assert node.wait() == status
        assert "Traceback" not in "".join(node.output)


def until_said(node: Node, words: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not any(words in line for line in node.output):
        assert time.monotonic() < deadline, "\n".join(node.output)
        time.sleep(0.01)


def test_node_keeps_its_name_over_a_restart(tmp_path: Path, serving_dsn: str) -> None:
    names = []
    for _ in range(2):
        with Node(tmp_path, serving_dsn) as node:
            names.append(get(f"{node.url}/v1/status")["node"])
            node.kill()
    assert names[0] == names[1]
