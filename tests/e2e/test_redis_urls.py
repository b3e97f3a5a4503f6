"""`PLAYHALL_REDIS_URL`: one that cannot be used is one sentence, and no secret is ever said."""

from pathlib import Path

import pytest

from tests.fixtures.node import SECRET_KEYS, Node
from tests.fixtures.redis import RedisServer
from tests.fixtures.shell import playhall


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:6379",
        "http://:s3cret@127.0.0.1",
        "redis://:s3cret@127.0.0.1:port",
        "redis://:s3cret@127.0.0.1/?unheard_of=1",
    ],
)
def test_bad_url_ends_the_start_with_one_line(tmp_path: Path, serving_dsn: str, url: str) -> None:
    done = playhall(
        "serve",
        environment={
            "PLAYHALL_DATABASE_URL": serving_dsn,
            "PLAYHALL_SECRET_KEYS": SECRET_KEYS,
            "PLAYHALL_DATA_DIR": str(tmp_path),
            "PLAYHALL_REDIS_URL": url,
        },
    )
    assert done.status == 1
    (line,) = done.err.splitlines()
    assert "PLAYHALL_REDIS_URL" in line
    assert "redis://" in line
    assert "s3cret" not in done.said


def test_server_that_is_away_is_said_without_its_password(tmp_path: Path, serving_dsn: str) -> None:
    """The node serves all the same."""
    server = RedisServer(password="s3cret")
    with Node(tmp_path, serving_dsn, redis_url=server.url) as node:
        assert node.stop() == 0
    said = "\n".join(node.output)
    assert f"Redis at 127.0.0.1:{server.port} is down" in said
    assert "s3cret" not in said
    server.close()
