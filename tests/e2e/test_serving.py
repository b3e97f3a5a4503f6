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
        until_said(node, "shutting down")
        os.kill(node.pid, number)
        until_said(node, "Stopped immediately. Everything that was confirmed is saved.")
        assert node.wait() == status
        assert "Traceback" not in "".join(node.output)


def until_said(node: Node, words: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not any(words in line for line in node.output):
        assert time.monotonic() < deadline, "\n".join(node.output)
        time.sleep(0.01)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux's /proc")
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_processes_that_hash_passwords_end_with_the_node(
    tmp_path: Path, serving_dsn: str, end: str
) -> None:
    with Node(tmp_path, serving_dsn) as node:
        token = post(f"{node.url}/v1/auth/guest")["access_token"]
        post(f"{node.url}/v1/lobbies", str(token), ruleset="relay", password="sesame")
        children = Path(f"/proc/{node.pid}/task/{node.pid}/children").read_text().split()
        assert children
        node.stop() if end == "stop" else node.kill()
        deadline = time.monotonic() + WAIT_S
        while any(is_running(pid) for pid in children):
            assert time.monotonic() < deadline, children
            time.sleep(0.01)


def is_running(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def post(url: str, token: str = "", **body: object) -> dict[str, object]:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    headers = headers if token else {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as response:
        answer: dict[str, object] = json.load(response)
        return answer


def test_node_keeps_its_name_over_a_restart(tmp_path: Path, serving_dsn: str) -> None:
    names = []
    for _ in range(2):
        with Node(tmp_path, serving_dsn) as node:
            names.append(get(f"{node.url}/v1/status")["node"])
            node.kill()
    assert names[0] == names[1]
