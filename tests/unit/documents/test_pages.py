"""The pages for people, against the code that they describe."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from server.cli import app
from server.config import Config
from server.core.settings import variable_names
from server.domains.play.lobbies.settings import LobbySettings
from server.domains.services import KEY_FILE
from server.domains.settings import included_settings
from tests.tidy.source import trees

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), ROOT / "clients" / "python" / "README.md"])

ARCHITECTURE = (DOCS / "explanation" / "architecture.md").read_text()
SETTINGS = (DOCS / "reference" / "settings.md").read_text()
COMMANDS = (DOCS / "reference" / "commands.md").read_text()
LIMITS = (DOCS / "reference" / "limits.md").read_text()
BACKUPS = (DOCS / "operations" / "backups.md").read_text()
DATA = (DOCS / "reference" / "data.md").read_text()
SCHEMA = "".join(
    path.read_text() for path in sorted((ROOT / "migrations" / "versions").glob("*.up.sql"))
)
TABLES = {
    name: re.findall(
        r"^ +([a-z_]+) +(?:uuid|text|bytea|bool|int|big|small|json|time|lobby_)", body, re.M
    )
    for name, body in re.findall(r"CREATE TABLE ([a-z_.]+) \(\n(.*?)\n *\)", SCHEMA, re.DOTALL)
}


ALL_SETTINGS = [
    (variable, field.default)
    for model in (Config, *included_settings())
    for variable, field in zip(variable_names(model), model.model_fields.values(), strict=True)
]


def test_every_rate_limit_is_on_the_page_by_its_policy() -> None:
    made = [
        node.args[0].value
        for tree in trees().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "RateLimiter"
        and isinstance(node.args[0], ast.Constant)
    ]
    rows = re.findall(r"^\| `([a-z-]+)` \| [^|]+ \|$", LIMITS, re.M)
    assert sorted(rows) == sorted(made)


def test_every_row_of_settings_is_a_variable_of_one_class() -> None:
    rows = re.findall(r"^\| `(PLAYHALL_\w+)` \|", SETTINGS, re.M)
    assert sorted(rows) == sorted(variable for variable, _ in ALL_SETTINGS)


@pytest.mark.parametrize(("variable", "default"), ALL_SETTINGS)
def test_every_setting_is_on_the_page_with_its_default(variable: str, default: object) -> None:
    row = re.search(rf"^\| `{variable}` \| (.+?) \| (.+) \|$", SETTINGS, re.M)
    assert row is not None
    if isinstance(default, bool):
        assert row[1] == f"`{str(default).lower()}`"
    elif default not in (None, ""):
        assert row[1] == (f"`{default:g}`" if isinstance(default, float) else f"`{default}`")
    else:
        assert not isinstance(default, SecretStr)


@pytest.mark.parametrize(
    "place", [KEY_FILE, "PLAYHALL_SECRET_KEYS", "files/", "PLAYHALL_FILES_URL"]
)
def test_backups_name_what_is_not_in_the_database(place: str) -> None:
    backups = section(BACKUPS, "Backups")
    assert f"`{place}`" in backups


@pytest.mark.parametrize("target", ["run", "test", "check", "faults"])
def test_every_way_to_make_is_there_without_make(target: str) -> None:
    recipe = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.M)
    row = re.search(
        rf"^\| `make {target}` \| (.+) \|$", (ROOT / "CONTRIBUTING.md").read_text(), re.M
    )
    assert recipe is not None
    assert row is not None
    steps = [line.strip("\t@").replace("$(BIN)", ".venv/bin") for line in recipe[1].splitlines()]
    assert row[1] == ", ".join(f"`{step}`" for step in steps)


def test_every_command_of_the_program_is_on_the_page() -> None:
    named = [
        command.name or command.callback.__name__
        for command in app.registered_commands
        if command.callback
    ]
    assert [name for name in named if f"`playhall {name}" not in COMMANDS] == []


def test_schema_is_read_right() -> None:
    assert {"auth.users", "games", "game_events", "match_players", "nodes"} <= set(TABLES)
    assert TABLES["lobby_bans"] == ["lobby_id", "player_id", "created_at"]


@pytest.mark.parametrize("table", TABLES)
def test_every_table_has_its_section_with_every_column(table: str) -> None:
    section = re.search(rf"^### {table}\n(.*?)(?=^##|\Z)", DATA, re.M | re.S)
    assert section is not None
    assert [column for column in TABLES[table] if f"`{column}`" not in section[1]] == []
    assert f"| `{table}` |" in DATA


def test_every_writer_of_a_table_is_named() -> None:
    rows = dict(re.findall(r"^\| `([\w.]+)` \| .*? \| (.*) \|$", DATA, re.M))
    written = {
        (table, f"`{path.relative_to(ROOT).with_suffix('.py')}`")
        for path in (ROOT / "persistence").rglob("*.sql")
        for table in re.findall(
            r"(?:INSERT INTO|UPDATE|DELETE FROM)\s+((?:\w+\.)?[a-z_]+)", path.read_text()
        )
        if table in TABLES
    }
    assert ("games", "`persistence/eventlog/writer.py`") in written
    assert sorted(each for each in written if each[1] not in rows[each[0]]) == []


def test_every_file_that_the_durability_page_names_is_there() -> None:
    page = (DOCS / "explanation" / "durability.md").read_text()
    named = set(re.findall(r"`([\w/]+\.(?:py|sql))", page))
    files = [str(path) for path in ROOT.glob("*/**/*") if path.suffix in (".py", ".sql")]
    assert "eventlog/writer.sql" in named
    assert [name for name in named if not any(each.endswith(f"/{name}") for each in files)] == []


def test_every_store_under_row_level_security_is_in_the_table() -> None:
    page = (DOCS / "reference" / "authorisation.md").read_text()
    rows = re.findall(r"^\| `(persistence/\S+)` \| (.+?) \|.*\|$", page, re.M)
    stores = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "persistence").rglob("*.py")
        if path.name != "rls.py" and re.search(r"\bRlsDatabase\b", path.read_text())
    }
    assert "persistence/profiles/store.py" in stores
    anonymous = "persistence/games/directory.py"  # is given the pool of the role `anon`
    assert {name for name, _ in rows} == stores | {anonymous}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https:)([^)]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        found = page.parent / path if path else page
        assert found.exists(), target
        if anchor:
            assert anchor in anchors(found.read_text()), target


@pytest.mark.parametrize("page", [DOCS.parent / "README.md", DOCS / "guides" / "clients.md"])
def test_first_client_sees_how_long_it_waits_for_others(page: Path) -> None:
    wait_s = LobbySettings.model_fields["quick_play_wait_s"].default
    sentence = f"within {wait_s:g} s (`PLAYHALL_QUICK_PLAY_WAIT_S`), a bot takes the other seat"
    assert sentence in " ".join(page.read_text().split())


def test_every_task_is_in_the_task_tree() -> None:
    tree = section(ARCHITECTURE, "The task tree")
    named = {task for path in (ROOT / "server").rglob("*.py") for task in tasks(path)}
    named |= set(tasks(ROOT / "persistence" / "eventlog" / "writer.py"))
    assert {"lease", "close_silent", "log writer", "epoch board"} <= named
    assert sorted(task for task in named if not re.search(rf"\b{task}\b", tree)) == []


def test_tree_shows_every_folder_of_the_server() -> None:
    tree = section(ARCHITECTURE, "The tree")
    folders = [card.parent.name for card in sorted((ROOT / "server").glob("*/__init__.py"))]
    assert "core" in folders
    assert [folder for folder in folders if f"\n  {folder}/ " not in tree] == []


def tasks(path: Path) -> Iterator[str]:
    """Give what a module's tasks are called, and which sweeps its groups repeat."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        first = node.args[0] if node.args else None
        if isinstance(first, ast.Call) and ast.unparse(first.func) == "repeat_every":
            yield ast.unparse(first.args[1]).rpartition(".")[2]
        elif called == "Job" and isinstance(first, ast.Constant):
            yield str(first.value)
        elif called.endswith((".start_loop", ".start_work", ".create_task")):
            for given in node.keywords:
                if given.arg == "name" and isinstance(given.value, ast.Constant):
                    yield str(given.value.value)


def section(page: str, heading: str) -> str:
    found = re.search(rf"^## {heading}\n(.*?)^## ", page, re.M | re.S)
    assert found is not None
    return found[1]


def anchors(text: str) -> set[str]:
    """Give the anchors that headings get: lowercase, hyphens for blanks, no other marks."""
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
