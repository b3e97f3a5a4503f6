"""Every command, given what is not there: a sentence, a status, and nothing made on the way."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer

from server import cli
from tests.fixtures.shell import PLAYHALL, TIMEOUT_S, playhall, surroundings

GAME = "00000000-0000-0000-0000-000000000000"
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2

# Commands that work on a database that must be there already.
READERS: list[tuple[str, ...]] = [
    ("accounts", "ban", "ann", "--reason", "spam"),
    ("accounts", "find", "ann"),
    ("accounts", "grant", "ann", "admin"),
    ("accounts", "revoke", "ann", "admin"),
    ("accounts", "unban", "ann"),
    ("archive", "--dry-run"),
    ("unarchive", GAME),
    ("backup", "database.dump"),
    ("achievements", "rebuild", "--verify"),
    ("economy", "verify"),
    ("content", "check"),
    ("content", "root"),
    ("content", "rotate-key", "timestamp"),
    ("ratings", "rebuild"),
    ("epoch", "advance"),
    ("epoch", "bots", "1"),
    ("epoch", "clock"),
    ("epoch", "import", os.devnull, "--profile", "daily-v1"),
    ("epoch", "mirror", os.devnull, "--source", "elsewhere"),
    ("epoch", "profiles"),
    ("epoch", "settle", "2026-02-12", "--verify"),
    ("epoch", "status"),
    ("epoch", "verify", "2026-02-12"),
    ("epoch", "voters", "1"),
    ("export", GAME),
    ("games", "end", GAME, "--reason", "stuck"),
    ("games", "inspect", GAME),
    ("games", "sizes"),
    ("games", "list"),
    ("games", "release", GAME, "--reason", "mended"),
    ("keys", "forget", "old"),
    ("keys", "list"),
    ("nodes",),
    ("keys", "reencrypt"),
    ("keys", "rotate"),
    ("migrate", "--status"),
    ("migrate", "--down", "base"),
    ("replay", GAME),
    ("saves", "verify"),
    ("seed", "narrative"),
    ("social", "fanouts"),
    ("social", "jobs"),
    ("seed", "social"),
    ("social", "verify"),
    ("supabase", "import", "postgresql://nobody@127.0.0.1:1/nothing"),
    ("supabase", "export", "elsewhere"),
    ("stats", "rebuild", "--verify"),
    ("telemetry", "report", "funnel"),
    ("verify", GAME),
    ("verify", "--since", "2026-01-01"),
]
# Commands that make a database, or need none.
OTHERS = {
    ("restore",),
    ("restore-check",),
    "matchmaking",
    "serve",
    "play",
    "new-ruleset",
    "ruleset",
    "spec",
    "loadtest",
    ("keys", "new"),
    ("keys", "supabase"),
    ("keys", "forget"),
}


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


def test_every_command_is_tried_here() -> None:
    app = typer.Typer()
    app.registered_commands = list(cli.app.registered_commands)
    app.registered_groups = list(cli.app.registered_groups)
    before, cli.app = cli.app, app
    try:
        cli._add_commands("--help")
    finally:
        cli.app = before
    tried = {arguments[:2] for arguments in READERS} | {arguments[:1] for arguments in READERS}
    for path in commands(typer.main.get_command(app)):
        assert path in tried or path in OTHERS or path[0] in OTHERS, path


@pytest.mark.parametrize("arguments", READERS, ids=" ".join)
def test_no_database_is_made_in_an_unknown_folder(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    folder = tmp_path / "nowhere"
    done = playhall(*arguments, "--data-dir", folder, cwd=tmp_path)
    assert done.status == 1, done.said
    assert f"There is no Playhall data in {folder}." in done.said
    done.assert_plain()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [("export", GAME), ("verify", GAME), ("replay", GAME)])
def test_the_folder_that_is_used_by_default_is_not_made_either(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    done = playhall(*arguments, cwd=tmp_path)
    assert (done.status, "There is no Playhall data in .playhall." in done.said) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_restored_from_a_file_that_is_not_there(tmp_path: Path) -> None:
    done = playhall("restore", "hall.dump", "--data-dir", tmp_path / "data", cwd=tmp_path)
    assert (done.status, "There is no file hall.dump." in done.said) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_stays_empty(tmp_path: Path) -> None:
    done = playhall("verify", GAME, "--data-dir", tmp_path)
    assert "There is no Playhall data in" in done.said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a,b", "two\nlines", "x" * 100])
def test_nothing_is_made_at_a_path_that_cannot_be_served_from(tmp_path: Path, name: str) -> None:
    done = playhall("serve", "--port", 0, "--data-dir", tmp_path / "new" / name)
    assert (done.status, "choose another data folder" in done.said) == (1, True)
    assert list(tmp_path.iterdir()) == []


def without_root_powers() -> None:
    """Let file modes count for root as for everybody else; runs in the child."""
    libc = ctypes.CDLL(None)
    for power in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        libc.prctl(PR_CAPBSET_DROP, power, 0, 0, 0)


@pytest.mark.parametrize("command", ["verify", "serve"])
def test_a_folder_that_may_not_be_read_is_said(data_dir: Path, command: str) -> None:
    folder = data_dir.parent / "data"
    (folder / "postgres").mkdir(parents=True)
    (folder / "postgres").chmod(0)
    done = subprocess.run(
        [*PLAYHALL, command, *([GAME] if command == "verify" else []), "--data-dir", folder],
        env=surroundings({}),
        capture_output=True,
        timeout=TIMEOUT_S,
        text=True,
        check=False,
        preexec_fn=without_root_powers,
    )
    (folder / "postgres").chmod(0o700)
    assert done.returncode == 1, done.stderr
    assert "Permission denied" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("accounts", "ban", "ann", "--reason", "spam", "--days", "nan"), "--days: give more"),
        (("accounts", "ban", "ann", "--reason", "spam", "--days", "-1"), "--days: give more"),
        (("accounts", "ban", "ann", "--reason", "spam", "--days", "1e300"), "--days: give more"),
        (("spec", "--folder", "/dev/null/docs"), "Not a directory"),
        (("serve", "--data-dir", "/dev/null"), "cannot be used"),
        (("loadtest", "idle", "--json", "/nowhere/a.json"), "--json: there is no folder /nowhere"),
        (("export", "[/bold]", "--data-dir", "[/red]"), "There is no Playhall data in [/red]."),
        (("nonsense",), "No such command"),
        (("export",), "Missing argument"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_mistake_is_a_sentence(tmp_path: Path, arguments: tuple[str, ...], expected: str) -> None:
    done = playhall(*arguments, cwd=tmp_path)
    assert done.status in (1, 2)
    assert expected in done.said
    done.assert_plain()


def test_version_is_the_distribution_s() -> None:
    done = playhall("--version")
    assert (done.status, done.out) == (0, f"playhall {version('playhall-server')}\n")


def test_commands_are_printed_the_way_they_work_where_they_were_started(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("playhall")
    environment = surroundings({"PATH": os.environ["PATH"].replace(str(program.parent), "")})
    for called in (str(program), os.path.relpath(program, tmp_path)):
        done = subprocess.run(
            [called, "games", "list"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        said = " ".join(done.stderr.split())
        assert f"`{os.path.relpath(program, tmp_path)} serve` creates a new one" in said


def test_misspelled_variable_is_named_with_the_one_that_was_meant(tmp_path: Path) -> None:
    misspelled = {
        "PLAYHALL_DATABSE_URL": "postgresql://x",
        "PLAYHAL_PORT": "1",
        "PLAYHALL_OF_SOMEBODY": "1",
    }
    done = playhall("games", "list", cwd=tmp_path, environment=misspelled)
    assert "PLAYHALL_DATABSE_URL is set, but nothing reads it" in done.said
    assert "did you mean PLAYHALL_DATABASE_URL?" in done.said
    assert "did you mean PLAYHALL_PORT?" in done.said
    assert "PLAYHALL_OF_SOMEBODY" not in done.said


def test_ctrl_c_while_it_is_being_imported_is_quiet() -> None:
    program = Path(sys.executable).with_name("playhall")
    command = [sys.executable, "-X", "importtime", program, "--version"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.split()[-1] == "typer":  # many more are to come
                process.send_signal(signal.SIGINT)
                break
        left = process.stderr.read()
    assert process.returncode == 130
    assert "Traceback" not in left, left
