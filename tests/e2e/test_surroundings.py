"""Commands in odd surroundings: closed streams, broken pipes, ASCII terminals, no home, a proxy."""

import json
import shlex
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.node import SECRET_KEYS, Node
from tests.fixtures.ports import free_port
from tests.fixtures.postgres import TEMPLATE, Databases
from tests.fixtures.shell import PLAYHALL, TIMEOUT_S, Done, playhall, surroundings

BROKEN = ("Traceback", "Exception ignored", "Logging error")


@pytest.fixture(scope="module")
def node(
    tmp_path_factory: pytest.TempPathFactory, module_dsn: str
) -> Iterator[Node]:  # fmt: skip
    with Node(tmp_path_factory.mktemp("node"), module_dsn) as node:
        yield node


@pytest.fixture(scope="module")
def module_dsn(databases: Databases) -> Iterator[str]:
    dsn = databases.create(template=TEMPLATE)
    yield databases.serving_dsn(dsn)
    databases.drop(dsn)


@pytest.fixture(scope="module")
def finished_game(node: Node) -> str:
    """Play a game to its end, and give its id."""
    done = shell(f"play --auto --ruleset four_in_a_row --url {node.url}")
    assert done.status == 0, done.said
    return done.said.partition("Saved as game ")[2].split(".")[0]


@pytest.fixture
def proxy() -> Iterator[socket.socket]:
    """Where a proxy would listen; it never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def shell(command: str, around: str = "{}", **environment: str | None) -> Done:
    """Run a command of playhall in a shell; `around` has redirections and pipes."""
    if around == "{}":
        return whole(playhall(*shlex.split(command), environment=environment))
    line = around.format(shlex.join(PLAYHALL) + " " + command)
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        env=surroundings(environment),
        capture_output=True,
        timeout=TIMEOUT_S,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    out, err = (stream.decode(errors="replace") for stream in (done.stdout, done.stderr))
    return whole(Done(done.returncode, out, err))


def whole(done: Done) -> Done:
    """Check that nothing that a command printed is a sign of a fault of ours."""
    for words in BROKEN:
        assert words not in done.out + done.err, done.out + done.err
    return done


# Those of a row are independent of each other: none makes another one easier.
ODD = {
    "closed input": ("{} <&-", {}),
    "closed output": ("{} >&-", {}),
    "closed errors": ("{} 2>&-", {}),
    "everything closed": ("{} <&- >&- 2>&-", {}),
    "ascii, no terminal, one column, no home": (
        "{}",
        {
            "PYTHONIOENCODING": "ascii",
            "LC_ALL": "C",
            "LANG": None,
            "TERM": None,
            "COLUMNS": "1",
            "LINES": "1",
            "HOME": None,
            "XDG_STATE_HOME": None,
        },
    ),
    "latin, dumb terminal, unwritable home": (
        "{}",
        {
            "PYTHONIOENCODING": "latin-1",
            "TERM": "dumb",
            "HOME": "/proc/nobody",
            "XDG_STATE_HOME": None,
        },
    ),
}
HARDEST = [*ODD][3:]


@pytest.mark.parametrize("odd", ODD)
def test_a_game_is_played_to_its_end(node: Node, odd: str) -> None:
    around, environment = ODD[odd]
    done = shell(f"play --auto --ruleset four_in_a_row --url {node.url}", around, **environment)
    assert done.status == 0, done.said


def test_a_game_that_cannot_be_kept_is_said_once(node: Node) -> None:
    done = shell(
        f"play --auto --ruleset four_in_a_row --url {node.url}", HOME="/proc/nobody",
        XDG_STATE_HOME=None,
    )  # fmt: skip
    assert done.said.count("not be able to return to this game") == 1


@pytest.mark.parametrize("odd", ["closed input", "everything closed"])
def test_who_cannot_type_leaves_the_table(node: Node, odd: str) -> None:
    around, environment = ODD[odd]
    assert shell(f"play --url {node.url}", around, **environment).status == 0


@pytest.mark.parametrize("odd", HARDEST)
@pytest.mark.parametrize("command", ["verify", "replay"])
def test_a_game_is_looked_at(
    node: Node, module_dsn: str, finished_game: str, odd: str, command: str
) -> None:
    around, environment = ODD[odd]
    settings = {"PLAYHALL_DATABASE_URL": module_dsn, **environment}
    done = shell(f"{command} {finished_game}", around, **settings)
    assert done.status == 0, done.said


@pytest.mark.parametrize(
    ("command", "reader"),
    [
        ("verify --since 2000-01-01", "true"),
        ("replay {game}", "head -1"),
        ("export {game}", "true"),
        ("export {game}", "head -1"),
        ("--help", "head -1"),
    ],
)
def test_a_reader_that_goes_away_is_no_error(
    module_dsn: str, finished_game: str, command: str, reader: str
) -> None:
    around = "{} | " + reader
    done = shell(command.format(game=finished_game), around, PLAYHALL_DATABASE_URL=module_dsn)
    assert done.err == ""


@pytest.mark.parametrize(
    "command", ["verify {game}", "replay {game}", "export {game}", "accounts find nobody", "--help"]
)
def test_output_onto_a_full_disk_is_an_error_in_one_line(
    module_dsn: str, finished_game: str, command: str
) -> None:
    settings = {"PLAYHALL_DATABASE_URL": module_dsn, "PLAYHALL_SECRET_KEYS": SECRET_KEYS}
    done = shell(command.format(game=finished_game), "{} > /dev/full", **settings)
    assert done.status == 1
    assert "No space left on device" in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize("odd", HARDEST)
def test_a_load_test_passes(node: Node, odd: str) -> None:
    around, environment = ODD[odd]
    command = f"loadtest matches --ruleset four_in_a_row --games 1 --url {node.url}"
    assert shell(command, around, **environment).status == 0


@pytest.mark.parametrize(
    "streams", ["0<&- 1>&- 2>&-", "1>&-", "2>&-", "> >(true)", "2> >(true)", "> /dev/full 2>&1"]
)
def test_a_server_serves_without_its_terminal(
    tmp_path: Path, module_dsn: str, streams: str
) -> None:
    port = free_port()
    environment = {
        "PLAYHALL_DATABASE_URL": module_dsn,
        "PLAYHALL_DATA_DIR": str(tmp_path / "data"),
        "PLAYHALL_SECRET_KEYS": SECRET_KEYS,
        "HOME": "/proc/nobody",
    }
    line = f"exec {shlex.join(PLAYHALL)} serve --port {port} {streams}"
    server = subprocess.Popen(["bash", "-c", line], env=surroundings(environment))
    try:
        deadline = time.monotonic() + TIMEOUT_S
        while not is_ready(port):
            assert server.poll() is None, f"it ended with status {server.returncode}"
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        server.send_signal(signal.SIGTERM)
        status = server.wait(TIMEOUT_S)
    assert status == 0


def is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz"):
            return True
    except OSError:
        return False


@pytest.mark.parametrize(
    "command",
    [
        "play --auto --ruleset four_in_a_row",
        "loadtest matches --ruleset four_in_a_row --games 1",
        "loadtest signaling --pairs 1 --duration 0.2 --ramp-up 0",
        "loadtest epoch --watchers 1 --duration 0.2",
    ],
)
def test_a_proxy_is_never_used(node: Node, proxy: socket.socket, command: str) -> None:
    address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
    names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ws_proxy")
    done = shell(f"{command} --url {node.url}", **dict.fromkeys(names, address))
    assert done.status == 0, done.said
    proxy.setblocking(False)
    with pytest.raises(BlockingIOError):  # nobody has connected
        proxy.accept()


def test_a_name_that_looks_like_markup_is_shown_as_it_is(node: Node, module_dsn: str) -> None:
    body = json.dumps({"display_name": "[/x] :smile:"}).encode()
    made = urllib.request.Request(
        f"{node.url}/v1/auth/guest", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(made) as answer:
        guest = json.load(answer)
    settings = {"PLAYHALL_DATABASE_URL": module_dsn, "PLAYHALL_SECRET_KEYS": SECRET_KEYS}
    done = shell(f"accounts find {guest['user_id']}", **settings)
    assert done.status == 0, done.said
    assert "[/x] :smile:" in done.out


def test_an_argument_that_is_no_text_is_refused() -> None:
    done = shell("play --name \udcff")
    assert done.status == 2
    assert "is not UTF-8" in done.said
