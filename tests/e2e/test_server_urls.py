"""Addresses of other servers: a bad one is one sentence, and no password is ever said."""

from pathlib import Path

import pytest

from tests.fixtures.node import SECRET_KEYS, Node
from tests.fixtures.ports import free_port
from tests.fixtures.redis import RedisServer
from tests.fixtures.shell import playhall

REDIS = ("PLAYHALL_REDIS_URL", "redis://")
REPLICA = ("PLAYHALL_DATABASE_REPLICA_URL", "postgresql://")


@pytest.mark.parametrize(
    ("setting", "url"),
    [
        (REDIS, "127.0.0.1:6379"),
        (REDIS, "http://:s3cret@127.0.0.1"),
        (REDIS, "redis://:s3cret@127.0.0.1:port"),
        (REDIS, "redis://:s3cret@127.0.0.1/?unheard_of=1"),
        (REPLICA, "nonsense"),
        (REPLICA, "http://x:s3cret@127.0.0.1/playhall"),
    ],
)
def test_bad_url_ends_the_start_with_one_line(
    tmp_path: Path, serving_dsn: str, setting: tuple[str, str], url: str
) -> None:
    variable, scheme = setting
    done = playhall(
        "serve",
        environment={
            "PLAYHALL_DATABASE_URL": serving_dsn,
            "PLAYHALL_SECRET_KEYS": SECRET_KEYS,
            "PLAYHALL_DATA_DIR": str(tmp_path),
            variable: url,
        },
    )
    assert done.status == 1
    (line,) = done.err.splitlines()
    assert variable in line
    assert scheme in line
    assert "s3cret" not in done.said


def test_redis_that_is_away_is_said_without_its_password(tmp_path: Path, serving_dsn: str) -> None:
    """The node serves all the same."""
    server = RedisServer(password="s3cret")
    with Node(tmp_path, serving_dsn, redis_url=server.url) as node:
        assert node.stop() == 0
    said = "\n".join(node.output)
    assert f"Redis at 127.0.0.1:{server.port} is down" in said
    assert "s3cret" not in said
    server.close()


def test_standby_that_is_away_is_said_without_its_password(
    tmp_path: Path, serving_dsn: str
) -> None:
    url = f"postgresql://x:s3cret@127.0.0.1:{free_port()}/playhall"
    with Node(tmp_path, serving_dsn, database_replica_url=url) as node:
        assert node.stop() == 0
    said = "\n".join(node.output)
    assert "the standby cannot be read, so the primary is" in said
    assert "s3cret" not in said
