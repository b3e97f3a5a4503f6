"""Files: one game's log and nothing else, or a sentence that says where it stops being one."""

from pathlib import Path

import orjson
import pytest

from server.ops.audit.log_files import LINE_BYTES_MAX, UnreadableLogFile, read_export
from tests.unit.audit.forgery import AT, GAME, chained, el_dorado

ROWS = chained(el_dorado(rounds=1).start().play().log)


def line(nth: int, **change: object) -> bytes:
    row = ROWS[nth]
    header = {
        "game_id": GAME,
        "event_index": row.event_index,
        "event": row.type,
        "payload": orjson.loads(row.payload),
        "at": "2026-11-20T12:00:00.000Z",
        "hash": row.hash.hex(),
    }
    return orjson.dumps({**header, **change}) + b"\n"


def refusal(path: Path, *lines: bytes) -> str:
    path.write_bytes(b"".join(lines))
    with pytest.raises(UnreadableLogFile) as refused:
        read_export(path)
    return str(refused.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


def test_file_reads_as_what_was_stored(path: Path) -> None:
    path.write_bytes(b"".join(line(nth) for nth in range(len(ROWS))))
    evidence = read_export(path)
    assert (evidence.game_id, evidence.rows) == (GAME, ROWS)
    assert evidence.rows[0].at == AT


def test_file_of_two_games_is_refused(path: Path) -> None:
    other = "11111111-5d5e-4a8e-9a60-3f1a0f6d6a55"
    assert refusal(path, line(0), line(1, game_id=other)).startswith(
        f"Line 2 of log.jsonl is of game {other}"
    )


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (b"{\n", "Line 2 of log.jsonl is not an exported event: it: Invalid JSON"),
        (b"[]\n", "Line 2 of log.jsonl is not an exported event: it: "),
        (line(1, hash="00"), "Line 2 of log.jsonl is not an exported event: hash: "),
        (line(1, event_index=-1), "Line 2 of log.jsonl is not an exported event: event_index: "),
        (line(1, extra=1), "Line 2 of log.jsonl is not an exported event: extra: "),
        (line(1, payload={"x": "x" * 40_000}), "Line 2 of log.jsonl has a payload that no log"),
        (b" " * LINE_BYTES_MAX + b"\n", "Line 2 of log.jsonl is longer than"),
    ],
    ids=["json", "list", "hash", "index", "extra", "payload", "length"],
)
def test_bad_line_is_named(path: Path, bad: bytes, why: str) -> None:
    assert refusal(path, line(0), bad).startswith(why)


def test_empty_and_missing_files_are_refused(path: Path) -> None:
    assert "is empty; write it with: playhall export" in refusal(path)
    path.unlink()
    with pytest.raises(UnreadableLogFile, match="cannot be read: No such file"):
        read_export(path)
