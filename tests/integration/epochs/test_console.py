"""`playhall epoch …`, on a real database."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import orjson
import psycopg
import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from server.cli import plain_errors
from server.config import Config
from server.ops.epochs_cli import add_epoch_commands
from server.ops.shell import Shell
from tests.integration.epochs.stage import MIDNIGHT, Stage, profile
from tests.integration.epochs.test_import import HISTORY


class Line:
    """The command line on a database, with the login of a server; `dsn` is its owner's."""

    def __init__(self, dsn: str, serving_dsn: str, folder: Path) -> None:
        self.dsn, self.folder = dsn, folder
        self._serving_dsn = serving_dsn
        self._app = typer.Typer()
        config = Config(data_dir=folder)
        add_epoch_commands(self._app, Shell(lambda **_: config, self._url, plain_errors))

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(self._app, ["epoch", *arguments])

    def ok(self, *arguments: str) -> str:
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return result.output

    def put_profile(self, key: str, **changed: object) -> None:
        path = self.folder / "profile.json"
        path.write_bytes(orjson.dumps({**profile(), **changed}))
        self.ok("profiles", "--put", str(path), "--key", key, "--activate", key)

    @contextmanager
    def _url(self, _: Config) -> Iterator[str]:
        yield self._serving_dsn


@pytest.fixture
def line(fresh_dsn: str, serving_dsn: str, tmp_path: Path) -> Line:
    return Line(fresh_dsn, serving_dsn, tmp_path)


def test_a_day_is_rehearsed_with_the_clock(line: Line) -> None:
    line.put_profile("short-v1")
    assert "2026-02-12T10:00" in line.ok("clock", "--at", "2026-02-12T10:00Z")
    assert "1 step taken" in line.ok("advance")
    assert "2026-02-12  live" in line.ok("status")
    line.ok("clock", "--at", "2026-02-13T10:00", "--speed", "60")
    assert "steps taken" in line.ok("advance")
    assert "2026-02-12  archive" in line.ok("status")
    assert "all checks passed" in line.ok("verify", "2026-02-12")
    assert "all checks passed" in line.ok("settle", "2026-02-12", "--verify")
    assert "result 2 is in force" in line.ok("settle", "2026-02-12", "--reason", "a rehearsal")
    line.ok("clock", "--real")
    assert "2026-02" not in line.ok("clock")
    with psycopg.connect(line.dsn) as connection:
        acts = connection.execute("SELECT actor, action FROM audit_log ORDER BY id").fetchall()
    done = ["profile", "profile_activated", "clock", "rollover", "clock", "rollover", "recompute"]
    assert acts == [("console", action) for action in (*done, "clock")]


def test_a_clock_that_runs_fast_goes_on_at_the_real_speed(line: Line) -> None:
    line.ok("clock", "--at", "2026-02-12T10:00Z", "--speed", "100000")
    line.ok("clock", "--speed", "1")
    with psycopg.connect(line.dsn) as connection:
        assert connection.execute("SELECT speed FROM epoch_clock").fetchall() == [(1.0,)]


async def test_old_days_come_in_from_a_file(line: Line, stage: Stage) -> None:
    for slug in ("bot_ada", "bot_bob"):
        await stage.bot(slug)
    file = line.folder / "old.jsonl"
    file.write_text("\n".join(HISTORY))

    def work() -> str:
        line.put_profile("old-v1")
        output = line.ok("import", str(file), "--profile", "old-v1")
        line.ok("advance")
        return output + line.ok("verify", "2026-02-12")

    output = await asyncio.to_thread(work)
    assert "2026-02-12: 5 events" in output
    assert "all checks passed" in output


async def test_what_is_not_as_it_must_be_is_told_with_status_1(line: Line, stage: Stage) -> None:
    await stage.open()
    await stage.claim(await stage.bot(), 0, "x", at_s=5)
    await stage.at(MIDNIGHT + timedelta(days=1))
    await asyncio.to_thread(line.ok, "advance")
    with psycopg.connect(line.dsn) as connection:
        connection.execute("UPDATE epoch_slot_states SET current_code = 'y' WHERE slot_index = 0")
        connection.execute("UPDATE epoch_payouts SET amount_wei = 1")
    result = await asyncio.to_thread(line.run, "verify", "2026-02-12")
    assert result.exit_code == 1
    assert "slot 0: holds 'y'" in result.output
    assert "payout of" in result.output
    assert "2 differences" in result.output


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["verify", "yesterday"], "is not a date"),
        (["verify", "2020-01-01"], "no such epoch"),
        (["settle", "2020-01-01"], "--reason"),
        (["clock", "--at", "noon"], "--at: write a time"),
        (["clock", "--at", "9999-12-31T23:00Z"], "--at: send a year from 1970"),
        (["clock", "--at", "0001-01-01T00:00+10:00"], "--at: send a year from 1970"),
        (["clock", "--real", "--speed", "2"], "cannot be combined"),
        (["profiles", "--activate", "none-v1"], "no profile"),
        (["import", "missing.jsonl", "--profile", "daily-v1"], "missing.jsonl"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_sentences(line: Line, arguments: list[str], expected: str) -> None:
    result = line.run(*arguments)
    assert result.exit_code != 0
    assert expected in result.output
    assert "Traceback" not in result.output


def test_a_profile_that_disagrees_with_itself_is_refused(line: Line) -> None:
    path = line.folder / "profile.json"
    path.write_bytes(orjson.dumps({**profile(8), "slots": {**profile(7)["slots"], "count": 8}}))
    result = line.run("profiles", "--put", str(path), "--key", "bad-v1")
    assert result.exit_code == 1
    assert "count is 8, but map describes 7 slots" in result.output


def test_a_profile_that_no_claim_could_pass_is_refused(line: Line) -> None:
    slots = {"count": 1, "map": [{"type": "a", "label": "b", "constraints_id": "drumz"}]}
    path = line.folder / "profile.json"
    path.write_bytes(orjson.dumps({**profile(), "slots": slots}))
    result = line.run("profiles", "--put", str(path), "--key", "drums-v1")
    assert result.exit_code == 1
    assert "drums-v1" not in line.ok("profiles")


RANGE = {"type": "bot", "score_min": "0", "score_max": "1"}
BAD_PARTS = [
    ({"world": {"layout_id": "a\0b"}}, "world.layout_id: Remove control characters"),
    ({"settlement": {"mint": {"chain_id": 2**31}}}, "settlement.mint.chain_id"),
    (
        {"governance": {"targets": [RANGE, {**RANGE, "score_max": "2"}]}},
        "governance.targets.1.type",
    ),
]


@pytest.mark.parametrize(("changed", "expected"), BAD_PARTS, ids=[said for _, said in BAD_PARTS])
def test_a_profile_that_its_day_could_not_keep_to_is_refused(
    line: Line, changed: dict[str, object], expected: str
) -> None:
    path = line.folder / "profile.json"
    path.write_bytes(orjson.dumps({**profile(), **changed}))
    result = line.run("profiles", "--put", str(path), "--key", "bad-v1")
    assert isinstance(result.exception, SystemExit)
    assert expected in result.output
    assert "bad-v1" not in line.ok("profiles")


def test_a_key_that_cannot_be_one_is_refused_without_a_trace(line: Line) -> None:
    path = line.folder / "profile.json"
    path.write_bytes(orjson.dumps(profile()))
    result = line.run("profiles", "--put", str(path), "--key", "Daily V2")
    assert isinstance(result.exception, SystemExit)


def test_no_day_is_settled_at_the_console_before_the_chain_is_read(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAYHALL_CHAIN_RPC_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("PLAYHALL_CHAIN_CONTRACTS", f"1:0x{'a' * 40}")
    line.put_profile("short-v1")
    line.ok("clock", "--at", "2026-02-12T10:00Z")
    line.ok("advance")
    line.ok("clock", "--at", "2026-02-13T00:30Z")
    line.ok("advance")
    assert "2026-02-12  snapshot" in line.ok("status")
