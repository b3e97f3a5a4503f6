"""Logs that were moved to the object store, and back: none is lost, and none reads otherwise."""

import asyncio
import gzip
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import orjson
import psycopg
import pytest

from persistence.archives import log_file, reader
from persistence.archives.log_file import LogUnpacker, UnreadableLog, read_line
from persistence.archives.store import DueGame, GameArchiveStore
from persistence.audit.store import AuditStore
from persistence.database import Database
from persistence.eventlog.writer import EventRow
from persistence.games.store import GameStore
from persistence.objects import ObjectStorage
from persistence.profiles.personal_data import PersonalDataStore
from protocol.ids import UserId
from server.ops.export import export_game
from tests.integration.audit.conftest import Played, Playhall, Spoil, archived_file

NOW = ("archive", "--older-than", "0")


def objects(folder: Path) -> ObjectStorage:
    return ObjectStorage("", folder=folder / "files")


def rows_left(played: Played, game_id: str) -> int:
    with psycopg.connect(played.dsn) as connection:
        found = connection.execute(
            "SELECT count(*) FROM game_events WHERE game_id = %s", [game_id]
        ).fetchone()
    assert found is not None
    return int(found[0])


async def everything_read(played: Played, folder: Path) -> list[object]:
    """Read the finished game in every way in which a server or a command does."""
    game_id, stored = played.finished, objects(folder)
    exported = BytesIO()
    await export_game(played.serving_dsn, game_id, exported, objects=stored)
    async with await Database.open(played.serving_dsn) as database:
        games = GameStore(database, node="", objects=stored)
        async with AuditStore(database, stored).read_snapshot() as books:
            audited = await books.read_events(game_id)
        head = len(audited) - 1
        async with database.acquire() as connection:
            user_id = UserId(await connection.fetchval("SELECT id FROM profiles LIMIT 1"))
        async with PersonalDataStore(database, stored).begin_export(user_id) as personal:
            moves = [row async for row in (await personal.iterate_parts())["games/moves"]]
        return [
            exported.getvalue(),
            audited,
            await games.read_log(game_id),
            [await games.read_events(game_id, after=n, limit=7) for n in (-1, 3, head - 3, head)],
            [await games.read_last_command(game_id, seat) for seat in (0, 1, 2)],
            [await games.find_command_event(game_id, seat=0, cmd_no=n) for n in (1, 2, 9)],
            moves,
        ]


@pytest.fixture
def personal(spoil: Spoil, played: Played) -> None:
    """Have the first player belong to an account."""
    user = "00000000-0000-4000-8000-00000000aaaa"
    with psycopg.connect(played.dsn) as connection:
        connection.execute("INSERT INTO auth.users (id) VALUES (%s)", [user])
        connection.execute(
            "INSERT INTO profiles (id, username, display_name) VALUES (%s, 'ada', 'Ada')", [user]
        )
    spoil("UPDATE players SET user_id = %s WHERE id = %s", user, played.players[0])


@pytest.mark.usefixtures("personal")
def test_archived_game_reads_as_before_and_comes_back(
    played: Played, playhall: Playhall, tmp_path: Path
) -> None:
    before = asyncio.run(everything_read(played, tmp_path))
    assert all(before)
    head = len(before[1])  # type: ignore[arg-type]
    done = playhall(*NOW, "--dry-run")
    assert f"1 games with {head} events would be archived." in done.output
    assert rows_left(played, played.finished) == head

    done = playhall(*NOW)
    assert done.exit_code == 0, done.output
    assert f"Archived 1 games with {head} events" in done.output
    assert rows_left(played, played.finished) == 0
    assert rows_left(played, played.under_way) > 0
    file = archived_file(played, tmp_path)
    assert file.stat().st_mode & 0o077 == 0
    assert asyncio.run(everything_read(played, tmp_path)) == before

    # What was concluded from the log can be concluded again, and the log alone can be checked.
    for command in (("verify", played.finished), ("verify", "--since", "2020-01-01")):
        assert playhall(*command).exit_code == 0
    for command in (("stats", "rebuild", "--verify"), ("ratings", "rebuild", "--verify")):
        assert playhall(*command).exit_code == 0, command
    unpacked = tmp_path / "unpacked.jsonl"
    unpacked.write_bytes(gzip.decompress(file.read_bytes()))
    assert playhall("verify", unpacked).exit_code == 0

    assert "Archived 0 games" in playhall(*NOW).output
    assert "1 logs are in the database again." in playhall("unarchive", played.finished).output
    assert rows_left(played, played.finished) == head
    file.rename(tmp_path / "away")
    assert asyncio.run(everything_read(played, tmp_path)) == before
    assert "1 games are archived" in playhall(*NOW).output
    assert "1 logs are in the database again." in playhall("unarchive", "--all").output


@pytest.mark.usefixtures("spoil")
def test_sizes_are_measured_by_ruleset_and_of_archives(played: Played, playhall: Playhall) -> None:
    def sizes() -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads(playhall("games", "sizes", "--json").output)
        return found

    events = rows_left(played, played.finished)
    [before] = sizes()["rulesets"]
    assert (before["ruleset"], before["games"], before["events"]) == ("el_dorado", 1, events)
    assert 100 * events < before["event_bytes"] < 4000 * events
    assert "el_dorado" in playhall("games", "sizes").output
    playhall(*NOW)
    after = sizes()
    assert after["rulesets"] == []
    assert 10 * events < after["archived_bytes"]["el_dorado"] < before["event_bytes"] / 2
    assert "No finished game has its events in the database." in playhall("games", "sizes").output


@pytest.mark.usefixtures("spoil")
def test_large_log_is_read_in_pieces_like_a_small_one(
    played: Played, playhall: Playhall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = asyncio.run(everything_read_of_pages(played, tmp_path))
    assert (done := playhall(*NOW)).exit_code == 0, (done.output, done.exception)
    monkeypatch.setattr(reader, "KEPT_LOG_BYTES_MAX", 0)
    monkeypatch.setattr("persistence.archives.log_file.UNPACKED_AT_ONCE", 100)
    assert asyncio.run(everything_read_of_pages(played, tmp_path)) == before


async def everything_read_of_pages(played: Played, folder: Path) -> list[EventRow]:
    async with await Database.open(played.serving_dsn) as database:
        games, rows = GameStore(database, node="", objects=objects(folder)), []
        while page := await games.read_events(
            played.finished, after=rows[-1].event_index if rows else -1, limit=10
        ):
            rows += page
    return rows


async def test_game_that_is_played_is_read_without_the_store(played: Played) -> None:
    async with await Database.open(played.serving_dsn) as database:
        games = GameStore(database, node="")  # has none
        head = (await games.read_log(played.under_way))[-1].event_index
        assert await games.read_events(played.under_way, after=head) == []
        assert await games.read_last_command(played.under_way, 5) == 0


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM game_events WHERE event_index = 5 AND game_id = %s", "event 5 is missing"),
        (
            "UPDATE game_events SET payload = payload || '{\"x\": 1}'"
            " WHERE event_index = 4 AND game_id = %s",
            "event 4 breaks the hash chain",
        ),
        (
            "DELETE FROM game_events e WHERE game_id = %s AND event_index = ("
            "SELECT next_event_index - 1 FROM games g WHERE g.id = e.game_id)",
            "were written",
        ),
    ],
)
def test_broken_log_stays_in_the_database(
    played: Played, playhall: Playhall, spoil: Spoil, statement: str, said: str
) -> None:
    spoil(statement, played.finished)
    left = rows_left(played, played.finished)
    done = playhall(*NOW)
    assert (done.exit_code, said in done.output) == (1, True), done.output
    assert rows_left(played, played.finished) == left


def test_damaged_archive_is_reported_and_lets_nothing_else_fail(
    played: Played, playhall: Playhall, spoil: Spoil, tmp_path: Path
) -> None:
    assert (done := playhall(*NOW)).exit_code == 0, (done.output, done.exception)
    file = archived_file(played, tmp_path)
    whole = file.read_bytes()
    for damaged, said in (
        (whole[:-9], "it is cut off"),
        (b"\0" * len(whole), "it is not a gzip file"),
        (None, "the object is missing in the store"),
    ):
        file.unlink()
        if damaged is not None:
            file.write_bytes(damaged)
        for command in (("verify", played.finished), ("verify", "--since", "2020-01-01")):
            done = playhall(*command)
            assert (done.exit_code, said in done.output) == (1, True), done.output
        assert "2 games checked, 1 failed" in done.output
        done = playhall("unarchive", played.finished)
        assert done.exit_code == 1
        assert rows_left(played, played.finished) == 0
    done = playhall("unarchive", "--all")
    assert done.exit_code == 1
    assert f"Not brought back: The archived log of game {played.finished}" in done.output
    assert "0 logs are in the database again.\n1 stay archived" in done.output
    file.write_bytes(whole)
    spoil("UPDATE game_archives SET content_sha256 = sha256('other')")
    done = playhall("verify", played.finished)
    assert "its content is not what was archived" in done.output


@pytest.mark.usefixtures("spoil")
def test_events_go_only_where_an_archive_is_noted(played: Played, playhall: Playhall) -> None:
    def refused(dsn: str, statement: str, error: type[psycopg.Error]) -> None:
        with psycopg.connect(dsn) as connection, pytest.raises(error):
            connection.execute(statement.encode())

    assert (done := playhall(*NOW)).exit_code == 0, (done.output, done.exception)
    for statement in (
        "DELETE FROM game_events",
        "DELETE FROM game_archives",
        "TRUNCATE game_archives",
    ):
        refused(played.dsn, statement, psycopg.errors.RestrictViolation)
    for statement in (
        "UPDATE game_archives SET released_at = now()",
        "INSERT INTO game_archives SELECT * FROM game_archives",
        "DELETE FROM game_archives",
    ):
        acting = f"SET ROLE playhall_server; {statement}"
        refused(played.serving_dsn, acting, psycopg.errors.InsufficientPrivilege)


@pytest.mark.usefixtures("spoil")
def test_archiver_that_is_killed_loses_nothing_and_a_repeat_goes_on(
    played: Played, playhall: Playhall, tmp_path: Path
) -> None:
    before = asyncio.run(everything_read_of_pages(played, tmp_path))
    script = Path(__file__).with_name("killed_archiver.py")
    for point in ("before the object", "after the object", "reading back", "before the commit"):
        done = subprocess.run(
            [sys.executable, script, played.dsn, tmp_path / "files", played.finished, point],
            check=False,
            capture_output=True,
        )
        assert done.returncode == -signal.SIGKILL, (point, done.stderr)
        assert rows_left(played, played.finished) == len(before)
        assert asyncio.run(everything_read_of_pages(played, tmp_path)) == before
    assert playhall(*NOW).exit_code == 0
    assert rows_left(played, played.finished) == 0
    assert asyncio.run(everything_read_of_pages(played, tmp_path)) == before


class WaitingStorage(ObjectStorage):
    """A store that waits at one point until it is let on."""

    def __init__(self, folder: Path, point: str) -> None:
        super().__init__("", folder=folder / "files")
        self._point = point
        self.is_there, self.go_on = asyncio.Event(), asyncio.Event()

    async def wait_at(self, point: str) -> None:
        if point == self._point:
            self.is_there.set()
            await self.go_on.wait()

    async def put(self, key: str, content: IO[bytes] | bytes) -> None:
        await self.wait_at("put")
        await super().put(key, content)

    async def read(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        await self.wait_at("read")
        return await super().read(key, start, end)


@pytest.mark.usefixtures("spoil")
@pytest.mark.parametrize("point", ["put", "read"])
@pytest.mark.parametrize("level", [1, log_file.GZIP_LEVEL])
async def test_two_archivers_at_once_do_a_game_once(
    played: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str, level: int
) -> None:
    before = await everything_read_of_pages(played, tmp_path)
    game = DueGame(played.finished, len(before))
    waiting = WaitingStorage(tmp_path, point)
    async with await Database.open(played.dsn, embedded=True, role="none") as database:
        with monkeypatch.context() as patched:
            patched.setattr(log_file, "GZIP_LEVEL", level)  # as another zlib would pack it
            slow = asyncio.create_task(GameArchiveStore(database, waiting).archive(game))
            await waiting.is_there.wait()
        archive = await GameArchiveStore(database, objects(tmp_path)).archive(game)
        assert archive is not None
        waiting.go_on.set()
        assert await slow is None
        assert await GameArchiveStore(database, objects(tmp_path)).find(game.game_id) == archive
    assert rows_left(played, played.finished) == 0
    assert await everything_read_of_pages(played, tmp_path) == before


@pytest.mark.usefixtures("spoil")
async def test_game_that_another_archiver_releases_while_it_is_read_is_left_to_it(
    played: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await everything_read_of_pages(played, tmp_path)
    game = DueGame(played.finished, len(before))
    async with await Database.open(played.dsn, embedded=True, role="none") as database:
        slow, fast = (GameArchiveStore(database, objects(tmp_path)) for _ in range(2))
        read_events = GameStore.read_events
        turns = iter(range(1, 10))

        async def read_in_turns(self: GameStore, *arguments: Any, **options: Any) -> list[EventRow]:
            if next(turns) == 2:  # the slow one has a page, and wants the next
                monkeypatch.setattr(GameStore, "read_events", read_events)
                assert await fast.archive(game) is not None
            return await read_events(self, *arguments, **options, limit=4)

        monkeypatch.setattr(GameStore, "read_events", read_in_turns)
        assert await slow.archive(game) is None
        assert await slow.archive(game) is None  # nor does it do it again
    assert await everything_read_of_pages(played, tmp_path) == before


def unpacked(*chunks: bytes) -> list[bytes]:
    unpacker = LogUnpacker()
    lines = [line for chunk in chunks for line in unpacker.unpack(chunk).lines]
    unpacker.finish()
    return lines


def test_file_that_is_cut_off_is_told() -> None:
    packed = gzip.compress(b"one\ntwo\n")
    assert unpacked(packed[:5], packed[5:]) == [b"one", b"two"]
    for cut in (packed[:-1], packed[:12], gzip.compress(b"one\ntw")):
        with pytest.raises(UnreadableLog):
            unpacked(cut)
    for line in (b"{}", b"", b'{"event_index": 0', b'{"event_index":0,"payload":{}'):
        with pytest.raises(UnreadableLog):
            read_line(line)
