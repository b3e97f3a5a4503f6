"""What two players notice while a third party attacks: the time of their moves, and of sign-ins.

    python -m loadtest.attacks [--seconds 10] [--only compressed …]

It starts a server of its own with its default limits, on one core; the database, the players
and the attacker have the others. Two players of a relay make one move after the other from
127.0.0.1; the attacker comes from 127.0.0.66. Linux only. See docs/operations/benchmarks.md.
"""

import asyncio
import multiprocessing
import re
import signal
import tempfile
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp
import orjson
import typer
from rich.console import Console
from rich.table import Table
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from loadtest.benching.machine import CoreAssignment, assign_cores
from loadtest.benching.servers import BenchNode
from playhall.errors import RequestRefused

Json = dict[str, Any]

PLAYERS_ADDRESS: Final = "127.0.0.1"
ATTACKERS_ADDRESS: Final = "127.0.0.66"
CONNECTIONS: Final = 4
SILENT: Final = 300
GUESSES_AT_ONCE: Final = 16
UPLOADS: Final = 64
BLANKS_BYTES: Final = 200_000_000
PROBE_EVERY_S: Final = 0.5
PROBE_TIMEOUT_S: Final = 10.0
ANSWER_TIMEOUT_S: Final = 30.0
START_S: Final = 60.0
SETTLE_S: Final = 1.0
PASSWORD: Final = "correct horse battery"  # noqa: S105 - of accounts that this program makes

out = Console(highlight=False)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Attack(StrEnum):
    """What the third party does."""

    NOTHING = "nothing"
    COMPRESSED = "compressed"
    GUESSES = "guesses"
    CONFIRMATIONS = "confirmations"
    SILENT = "silent"
    UPLOADS = "uploads"


WHAT: Final[Mapping[Attack, str]] = {
    Attack.NOTHING: "no attack",
    Attack.COMPRESSED: f"{CONNECTIONS} connections send 200 MB of blanks as gzip",
    Attack.GUESSES: f"a member guesses a lobby's password, {GUESSES_AT_ONCE} at once",
    Attack.CONFIRMATIONS: f"an account links an address that is taken, {GUESSES_AT_ONCE} at once",
    Attack.SILENT: f"{SILENT} requests announce a body and send none",
    Attack.UPLOADS: f"{UPLOADS} uploads of one guest are announced and not sent",
}


class SideEffects(NamedTuple):
    """What others noticed: times in milliseconds, and how many sign-ins and uploads succeeded."""

    moves: list[float]
    sign_ins: tuple[int, int]
    uploads: tuple[int, int]


class AttackTarget(NamedTuple):
    """What an attacker needs to know."""

    url: str
    token: str
    lobby_id: str
    code: str
    upload_urls: list[str]
    ready: Any  # a multiprocessing.Event: the attack is under way


# ---------------------------------------------------------------------- the attacker


def attack(kind: Attack, target: AttackTarget) -> None:
    """Attack until the process is ended."""
    with suppress(KeyboardInterrupt):
        asyncio.run(ATTACKS[kind](target))


async def _nothing(target: AttackTarget) -> None:
    target.ready.set()
    await asyncio.Event().wait()


async def _compressed(target: AttackTarget) -> None:
    packer = zlib.compressobj(9, wbits=31)
    body = packer.compress(b" " * BLANKS_BYTES) + packer.flush()
    head = _head(target.url, "/healthz", len(body))
    request = head[:-2] + b"Content-Encoding: gzip\r\n\r\n" + body
    target.ready.set()

    async def send() -> None:
        while True:
            with suppress(OSError):
                await _exchange(target.url, request)
            await asyncio.sleep(0.01)  # a refused connection is not tried in a tight loop

    await asyncio.gather(*(send() for _ in range(CONNECTIONS)))


async def _guesses(target: AttackTarget) -> None:
    target.ready.set()
    while True:
        with suppress(WebSocketException, OSError):
            async with _socket(target.url, target.token, ATTACKERS_ADDRESS) as socket:
                await _guess(socket, target.lobby_id)
        await asyncio.sleep(0.1)


async def _guess(socket: ClientConnection, lobby_id: str) -> None:
    number = 0
    waiting = 0
    while True:
        while waiting < GUESSES_AT_ONCE:
            number += 1
            waiting += 1
            guess = {"lobby_id": lobby_id, "password": f"guess {number}"}
            await socket.send(orjson.dumps({"id": number, "type": "lobby.join", **guess}).decode())
        answer = orjson.loads(await socket.recv())
        if "re" in answer:
            waiting -= 1
            if answer.get("code") == "rate_limited":
                await asyncio.sleep(0.01)


async def _confirmations(target: AttackTarget) -> None:
    target.ready.set()
    async with _http(target.url, ATTACKERS_ADDRESS) as http:

        async def send() -> None:
            body = {"code": target.code, "password": PASSWORD}
            while True:
                with suppress(aiohttp.ClientError):
                    async with http.post("/v1/auth/email/confirm", json=body) as answer:
                        await answer.read()
                await asyncio.sleep(0.01)

        await asyncio.gather(*(send() for _ in range(GUESSES_AT_ONCE)))


async def _silent(target: AttackTarget) -> None:
    target.ready.set()
    await asyncio.gather(
        *(_announce(target.url, _head(target.url, "/v1/auth/guest", 1000)) for _ in range(SILENT))
    )


async def _uploads(target: AttackTarget) -> None:
    target.ready.set()
    parts = [urlsplit(url) for url in target.upload_urls]
    heads = [
        _head(target.url, f"{part.path}?{part.query}", len(PICTURE), method="PUT", kind="image/png")
        for part in parts
    ]
    await asyncio.gather(*(_announce(target.url, head) for head in heads))


async def _announce(url: str, head: bytes) -> None:
    """Announce a body again and again, and never send it."""
    while True:
        with suppress(OSError):
            await _exchange(url, head)
        await asyncio.sleep(0.1)


def _head(
    url: str, path: str, length: int, *, method: str = "POST", kind: str = "application/json"
) -> bytes:
    lines = (
        f"{method} {path} HTTP/1.1",
        f"Host: {urlsplit(url).netloc}",
        f"Content-Length: {length}",
        f"Content-Type: {kind}",
    )
    return "\r\n".join((*lines, "", "")).encode()


async def _exchange(url: str, request: bytes) -> None:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(
        parts.hostname, parts.port, local_addr=(ATTACKERS_ADDRESS, 0)
    )
    try:
        writer.write(request)
        await reader.read(65_536)
    finally:
        writer.close()


ATTACKS: Final[Mapping[Attack, Callable[[AttackTarget], Coroutine[Any, Any, None]]]] = {
    Attack.NOTHING: _nothing,
    Attack.COMPRESSED: _compressed,
    Attack.GUESSES: _guesses,
    Attack.CONFIRMATIONS: _confirmations,
    Attack.SILENT: _silent,
    Attack.UPLOADS: _uploads,
}


# ---------------------------------------------------------------------- the others


class Bystanders:
    """Two players who move in turns, and a stranger who signs in and uploads."""

    def __init__(self, node: BenchNode, mails: Path) -> None:
        self._node = node
        self._mails = mails
        self._email = ""

    async def prepare_targets(self) -> AttackTarget:
        """Make what the attacks are aimed at, each time anew."""
        async with _http(self._node.url, PLAYERS_ADDRESS) as http:
            owner = await _post(http, "/v1/auth/guest", {})
            attacker = await _post(http, "/v1/auth/guest", {})
            self._email = f"ann-{time.time_ns()}@example.org"
            await _post(http, "/v1/auth/email", {"email": self._email})
            confirmation = {"code": await self._code(), "password": PASSWORD}
            await _post(http, "/v1/auth/email/confirm", confirmation)
            token = attacker["access_token"]
            connection = {"email": self._email}
            await _post(http, "/v1/me/methods/email", connection, token)
            code = await self._code()
            urls = [(await _ticket(http, attacker))["upload_url"] for _ in range(UPLOADS)]
        async with _socket(self._node.url, owner["access_token"]) as socket:
            lobby = {"ruleset": "relay", "seats": 4, "password": PASSWORD}
            made = (await _call(socket, 2, "lobby.create", **lobby))["lobby"]
        ready = multiprocessing.get_context("spawn").Event()
        return AttackTarget(self._node.url, token, made["lobby_id"], code, urls, ready)

    async def _code(self) -> str:
        """Take the code out of the mail that comes next."""
        text = ""
        while "confirm#" not in text:  # it is not there yet, or being written
            await asyncio.sleep(0.02)
            found = list(self._mails.glob("*.eml"))
            text = found[0].read_text().replace("=\n", "").replace("=3D", "=") if found else ""
        found[0].unlink()
        return str(re.findall(r"confirm#(\S+)", text)[0])

    async def measure_during(
        self, seconds: float, attack: Callable[[], Awaitable[None]]
    ) -> SideEffects:
        """Sit down, let the attack begin, and play and probe for so long."""
        signed_in = [0, 0]
        uploaded = [0, 0]
        async with _http(self._node.url, PLAYERS_ADDRESS) as http:
            guests = [await _post(http, "/v1/auth/guest", {}) for _ in range(2)]
            tokens = [guest["access_token"] for guest in guests]
            async with (
                _socket(self._node.url, tokens[0]) as first,
                _socket(self._node.url, tokens[1]) as second,
                asyncio.TaskGroup() as group,
            ):
                game_id = await _sit_down(first, second)
                await attack()
                probes = [
                    group.create_task(self._sign_in(http, signed_in)),
                    group.create_task(_upload(http, guests[0], uploaded)),
                ]
                moves = await _play(first, second, game_id, seconds)
                for probe in probes:
                    probe.cancel()
        return SideEffects(moves, (signed_in[0], signed_in[1]), (uploaded[0], uploaded[1]))

    async def _sign_in(self, http: aiohttp.ClientSession, counts: list[int]) -> None:
        body = {"email": self._email, "password": PASSWORD}
        for _ in range(8):
            await _probe(partial(http.post, "/v1/auth/email/sign-in", json=body), counts)


async def _upload(http: aiohttp.ClientSession, guest: Json, counts: list[int]) -> None:
    @asynccontextmanager
    async def upload() -> AsyncIterator[aiohttp.ClientResponse]:
        ticket = await _ticket(http, guest)
        async with http.put(ticket["upload_url"], data=PICTURE, headers=PNG) as answer:
            yield answer

    for _ in range(4):
        await _probe(upload, counts)


async def _probe(ask: Callable[[], Any], counts: list[int]) -> None:
    with suppress(aiohttp.ClientError, TimeoutError, RequestRefused):
        async with asyncio.timeout(PROBE_TIMEOUT_S), ask() as answer:
            counts[0] += answer.status < 300
    counts[1] += 1
    await asyncio.sleep(PROBE_EVERY_S)


async def _sit_down(first: ClientConnection, second: ClientConnection) -> str:
    """Start a relay for two; gives its id."""
    lobby = (await _call(first, 2, "lobby.create", ruleset="relay", seats=2))["lobby"]
    await _call(second, 2, "lobby.join", lobby_id=lobby["lobby_id"])
    await _call(second, 3, "lobby.ready", lobby_id=lobby["lobby_id"])
    started = await _call(first, 3, "lobby.start", lobby_id=lobby["lobby_id"])
    return str(started["lobby"]["game_id"])


async def _play(
    first: ClientConnection, second: ClientConnection, game_id: str, seconds: float
) -> list[float]:
    """Let two players move in turns; gives each move's time until its reply.

    A move that is not answered counts with the time that was waited for it, and is the last.
    """
    times: list[float] = []
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        number = len(times) // 2 + 1
        act = {"game_id": game_id, "cmd_no": number, "move": {"n": number}}
        began = time.monotonic()
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await _call((first, second)[len(times) % 2], number + 10, "game.act", **act)
        except (TimeoutError, WebSocketException):
            ends = 0.0
        times.append((time.monotonic() - began) * 1000)
        await asyncio.sleep(0.005)
    return times


PICTURE: Final = b"\x89PNG\r\n\x1a\n" + bytes(1000)
PNG: Final = {"Content-Type": "image/png"}


async def _ticket(http: aiohttp.ClientSession, guest: Json) -> Json:
    wanted = {
        "bucket": "thumbnails",
        "path": f"{guest['user_id']}/{uuid4()}-thumb.png",
        "content_type": "image/png",
        "size": len(PICTURE),
    }
    return await _post(http, "/v1/files/uploads", wanted, guest["access_token"])


@asynccontextmanager
async def _http(url: str, address: str) -> Any:
    connector = aiohttp.TCPConnector(local_addr=(address, 0), limit=0)
    async with aiohttp.ClientSession(url, connector=connector) as http:
        yield http


async def _post(http: aiohttp.ClientSession, path: str, body: Json, token: str = "") -> Json:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with http.post(path, json=body, headers=headers) as answer:
        made: Json = await answer.json()
        if answer.status != 200:
            raise RequestRefused(made["code"], f"{path}: {made['message']}")
        return made


@asynccontextmanager
async def _socket(url: str, token: str, address: str = PLAYERS_ADDRESS) -> Any:
    where = url.replace("http", "ws", 1) + "/ws"
    async with connect(where, local_addr=(address, 0), compression=None, max_queue=None) as socket:
        await _call(socket, 1, "session.hello", token=token)
        yield socket


async def _call(socket: ClientConnection, number: int, kind: str, **fields: object) -> Json:
    await socket.send(orjson.dumps({"id": number, "type": kind, **fields}).decode())
    while True:
        answer: Json = orjson.loads(await socket.recv())
        if answer.get("re") == number:
            assert answer["type"] != "error", (kind, answer)
            return answer


# ---------------------------------------------------------------------- the command


async def _measure(node: BenchNode, mails: Path, kind: Attack, seconds: float) -> SideEffects:
    others = Bystanders(node, mails)
    target = await others.prepare_targets()
    attacker = multiprocessing.get_context("spawn").Process(target=attack, args=(kind, target))

    async def begin() -> None:
        attacker.start()
        await asyncio.to_thread(target.ready.wait, START_S)
        await asyncio.sleep(SETTLE_S)

    try:
        return await others.measure_during(seconds, begin)
    finally:
        if attacker.pid is not None:
            attacker.kill()
            attacker.join()


@app.command()
def measure_attacks(
    seconds: Annotated[float, typer.Option(help="How long each attack lasts.")] = 10.0,
    only: Annotated[list[Attack] | None, typer.Option(help="No other attacks.")] = None,
) -> None:
    """Measure what others notice of each attack, on a server of its own."""
    table = Table("attack", "move p50 ms", "p99 ms", "worst ms", "moves", "sign-ins", "uploads")
    on: CoreAssignment = assign_cores()
    with tempfile.TemporaryDirectory(prefix="playhall-attacks-") as folder:
        Path(folder).chmod(0o755)
        for kind in only or list(Attack):
            node = BenchNode(Path(folder) / kind, on=on)
            try:
                node.start()
                mails = Path(folder) / kind / "data" / "mail"
                noticed = asyncio.run(_measure(node, mails, kind, seconds))
            finally:
                node.destroy()
            table.add_row(WHAT[kind], *_row(noticed))
    out.print(table)


def _row(noticed: SideEffects) -> list[str]:
    moves = sorted(noticed.moves)
    middle, high = (moves[int(part * (len(moves) - 1))] for part in (0.5, 0.99))
    times = [f"{value:.1f}" for value in (middle, high, moves[-1])]
    probes = [f"{good} of {tried}" for good, tried in (noticed.sign_ins, noticed.uploads)]
    return [*times, str(len(noticed.moves)), *probes]


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app()
