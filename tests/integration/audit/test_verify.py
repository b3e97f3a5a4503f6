"""`playhall verify`: green on what was played, red on anything else, and why."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from tests.integration.audit.conftest import Played, Playhall, Spoil

CHECKS = ["order", "chain", "seed", "rules", "game", "summary", "match", "statistics"]


def findings(playhall: Playhall, *arguments: object) -> dict[str, dict[str, object]]:
    report = orjson.loads(playhall("verify", *arguments, "--json").stdout)
    return {finding["check"]: finding for finding in report["findings"]}


def test_untouched_game_holds_in_every_check(playhall: Playhall, played: Played) -> None:
    found = findings(playhall, played.finished)
    assert {name: one["holds"] for name, one in found.items()} == dict.fromkeys(CHECKS, True)
    report = playhall("verify", played.finished)
    assert report.exit_code == 0
    assert report.stdout.startswith(f"✓ game {played.finished}  el_dorado 2, ")


def test_game_under_way_holds_up_to_its_head(playhall: Playhall, played: Played) -> None:
    found = findings(playhall, played.under_way)
    assert [name for name in CHECKS if found[name]["holds"] is None] == CHECKS[5:]
    assert found["order"]["sentence"] == "events 0 to 1, without a gap"
    assert playhall("verify", played.under_way).exit_code == 0


LOG = "game_id = %s AND event_index"
SPOILT = [
    (
        f"DELETE FROM game_events WHERE {LOG} = 11",
        "order        event 11 is missing",
    ),
    (
        "WITH two AS (SELECT event_index, payload FROM game_events "
        f"WHERE {LOG} BETWEEN 5 AND 6) UPDATE game_events e SET payload = two.payload "
        "FROM two WHERE e.event_index BETWEEN 5 AND 6 AND e.event_index <> two.event_index "
        "AND e.game_id = (SELECT game_id FROM matches)",
        "chain        event 5 breaks the hash chain",
    ),
    (
        f"UPDATE game_events SET payload = payload || '{{\"x\": 1}}' WHERE {LOG} = 12",
        "chain        event 12 breaks the hash chain",
    ),
    (
        f"UPDATE game_events SET hash = decode(repeat('00', 16), 'hex') WHERE {LOG} = 13",
        "chain        event 13 breaks the hash chain",
    ),
    (
        "UPDATE games SET session_seed = 'another' WHERE id = %s",
        "seed         event 0 does not commit to this game's seed",
    ),
    (
        "UPDATE games SET next_event_index = 999 WHERE id = %s",
        "order        999 events were written, ",
    ),
    (
        "UPDATE games SET status = 'in_progress', completed_at = NULL WHERE id = %s",
        "game         the game's status is in_progress, but the log says completed",
    ),
    (
        "UPDATE games SET quarantined_at = now(), quarantine_reason = 'why' WHERE id = %s",
        "game         the game is quarantined: why",
    ),
    (
        "UPDATE game_summaries SET highest_bid = 99 WHERE game_id = %s",
        "summary      the summary's highest_bid differs from the log",
    ),
    (
        "UPDATE game_summaries SET players = jsonb_set(players, '{0,score}', '99') "
        "WHERE game_id = %s",
        "summary      the summary's players differs from the log",
    ),
    (
        "DELETE FROM game_summaries WHERE game_id = %s",
        "summary      the game is over, but has no summary",
    ),
    (
        "UPDATE matches SET ruleset = 'chess' WHERE game_id = %s",
        "match        the match's ruleset is chess, not el_dorado",
    ),
    (
        "UPDATE match_players SET score = 99 WHERE seat = 1 "
        "AND match_id = (SELECT id FROM matches WHERE game_id = %s)",
        "match        seat 1 is in the history differently than in the log",
    ),
    (
        "DELETE FROM match_players WHERE seat = 2 "
        "AND match_id = (SELECT id FROM matches WHERE game_id = %s)",
        "match        seat 2 is in the history differently than in the log",
    ),
    (
        "DELETE FROM matches WHERE game_id = %s",
        "match        the game is over, but is not in the history",
    ),
    (
        "UPDATE player_lifetime_stats SET most_consecutive_losses = 99 "
        "WHERE player_id = (SELECT player_id FROM match_players "
        "JOIN matches ON id = match_id WHERE game_id = %s AND seat = 0)",
        "statistics   most_consecutive_losses of player ",
    ),
]


@pytest.mark.parametrize(("change", "sentence"), SPOILT, ids=[words for _, words in SPOILT])
def test_spoilt_database_is_red_and_says_where(
    playhall: Playhall, played: Played, spoil: Spoil, change: str, sentence: str
) -> None:
    spoil(change, played.finished)
    report = playhall("verify", played.finished)
    assert report.exit_code == 1
    assert f"✗ {sentence}" in report.stdout


def test_missing_statistics_are_red(playhall: Playhall, played: Played, spoil: Spoil) -> None:
    spoil("DELETE FROM player_lifetime_stats WHERE player_id = %s", played.players[0])
    sentence = f"player {played.players[0]} has no statistics"
    assert findings(playhall, played.finished)["statistics"]["sentence"] == sentence


def test_all_games_since_a_date_are_checked(playhall: Playhall, played: Played) -> None:
    everything = playhall("verify", "--since", "2020-01-01")
    assert everything.exit_code == 0
    assert "2 games checked, 0 failed." in everything.stdout


def test_spoilt_game_among_many_is_reported_in_full(
    playhall: Playhall, played: Played, spoil: Spoil
) -> None:
    spoil(f"DELETE FROM game_events WHERE {LOG} = 11", played.finished)
    report = playhall("verify", "--since", "2020-01-01")
    assert report.exit_code == 1
    assert "✗ order        event 11 is missing" in report.stdout
    assert f"✓ game {played.under_way}  relay 1, 2 events\n" in report.stdout
    assert "2 games checked, 1 failed." in report.stdout


def test_games_before_the_date_are_left_out(playhall: Playhall) -> None:
    later = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%d")
    assert playhall("verify", "--since", later).stdout == "0 games checked, 0 failed.\n"


# ------------------------------------------------------------------ files


def test_exported_game_holds_without_a_database(
    playhall: Playhall, exported: Path, played: Played, spoil: Spoil
) -> None:
    spoil("DELETE FROM game_events WHERE game_id = %s", played.finished)
    found = findings(playhall, "--file", exported)
    checks = [*CHECKS[:4], "end"]
    assert {name: one["holds"] for name, one in found.items()} == dict.fromkeys(checks, True)


@pytest.mark.parametrize("missing", [1, 3])
def test_file_that_was_shortened_at_the_end_is_red(
    playhall: Playhall, exported: Path, missing: int
) -> None:
    lines = exported.read_bytes().splitlines(keepends=True)[:-missing]
    exported.write_bytes(b"".join(lines))
    report = playhall("verify", exported)
    assert report.exit_code == 1
    sentence = f"incomplete: the game was still running at event {len(lines) - 1}"
    assert f"✗ end          {sentence}" in report.stdout


def test_file_of_a_running_game_is_taken_where_that_is_said(
    playhall: Playhall, exported: Path
) -> None:
    lines = exported.read_bytes().splitlines(keepends=True)[:-3]
    exported.write_bytes(b"".join(lines))
    assert findings(playhall, exported, "--partial")["end"]["holds"] is None
    assert playhall("verify", exported, "--partial").exit_code == 0
    exported.write_bytes(b"".join(lines[:5] + lines[6:]))
    assert playhall("verify", exported, "--partial").exit_code == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda lines: lines.pop(11), "order        event 11 is missing"),
        (
            lambda lines: lines[12]["payload"].update(x=1),
            "chain        event 12 breaks the hash chain",
        ),
        (
            lambda lines: lines[13].update(hash="00" * 16),
            "chain        event 13 breaks the hash chain",
        ),
        (
            lambda lines: lines[-1]["payload"].update(session_seed="another"),
            "seed         event 0 does not commit to this game's seed",
        ),
    ],
    ids=["row", "payload", "hash", "seed"],
)
def test_spoilt_file_is_red_and_says_where(
    playhall: Playhall, exported: Path, change: object, sentence: str
) -> None:
    lines = [orjson.loads(line) for line in exported.read_bytes().splitlines()]
    assert callable(change)
    change(lines)
    exported.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    report = playhall("verify", "--file", exported)
    assert report.exit_code == 1
    assert f"✗ {sentence}" in report.stdout


# ------------------------------------------------------------------ what is asked wrongly


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Name a game, or pass --file or --since; one of them."),
        (["x", "--file", "y"], "Name a game, or pass --file or --since; one of them."),
        (["no-id"], "game_id: "),
        (["no-id", "--partial"], "--partial is for files; "),
        (["00000000-0000-4000-8000-000000000000"], "There is no game 00000000-"),
        (["--file", "no.jsonl"], "no.jsonl cannot be read: No such file or directory."),
    ],
)
def test_wrong_question_gets_a_sentence(
    playhall: Playhall, arguments: list[str], sentence: str
) -> None:
    asked = playhall("verify", *arguments)
    assert asked.exit_code == 1
    assert f"playhall: {sentence}" in asked.stderr


def test_database_of_an_older_version_gets_a_sentence(
    playhall: Playhall, played: Played, spoil: Spoil
) -> None:
    spoil("UPDATE alembic_version SET version_num = '20261120_000005'")
    asked = playhall("verify", played.finished)
    assert asked.exit_code == 1
    assert "The database is older than this program; run: playhall migrate" in asked.stderr
