"""The pages for people, against the code that they describe."""

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from server.cli import app
from server.config import Config

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
OURS = (
    "protocol",
    "rulesets",
    "data",
    "operations",
    "architecture",
    "signaling",
    "bots",
    "durability",
    "benchmarks",
    "chain",
)

OPERATIONS = (DOCS / "operations.md").read_text()
DATA = (DOCS / "data.md").read_text()
SCHEMA = "".join(
    path.read_text() for path in sorted((ROOT / "migrations" / "versions").glob("*.up.sql"))
)
TABLES = {
    name: re.findall(
        r"^ +([a-z_]+) +(?:uuid|text|bytea|bool|int|big|small|json|time|lobby_)", body, re.M
    )
    for name, body in re.findall(r"CREATE TABLE ([a-z_.]+) \(\n(.*?)\n *\)", SCHEMA, re.DOTALL)
}


@pytest.mark.parametrize("field", Config.model_fields)
def test_every_setting_is_on_the_page_with_its_default(field: str) -> None:
    row = re.search(rf"^\| `PLAYHALL_{field.upper()}` \| (.+?) \| (.+) \|$", OPERATIONS, re.M)
    assert row is not None
    default = Config.model_fields[field].default
    if isinstance(default, bool):
        assert row[1] == f"`{str(default).lower()}`"
    elif default not in (None, ""):
        assert row[1] == (f"`{default:g}`" if isinstance(default, float) else f"`{default}`")
    else:
        assert not isinstance(default, SecretStr)


def test_every_command_of_the_program_is_on_the_page() -> None:
    named = [
        command.name or command.callback.__name__
        for command in app.registered_commands
        if command.callback
    ]
    assert [name for name in named if f"`playhall {name}" not in OPERATIONS] == []


def test_schema_is_read_right() -> None:
    assert {"auth.users", "games", "game_events", "match_players", "nodes"} <= set(TABLES)
    assert TABLES["lobby_bans"] == ["lobby_id", "player_id", "created_at"]


@pytest.mark.parametrize("table", TABLES)
def test_every_table_has_its_section_with_every_column(table: str) -> None:
    section = re.search(rf"^### {table}\n(.*?)(?=^##|\Z)", DATA, re.M | re.S)
    assert section is not None
    assert [column for column in TABLES[table] if f"`{column}`" not in section[1]] == []
    assert f"| `{table}` |" in DATA


@pytest.mark.parametrize("page", OURS)
def test_every_link_leads_somewhere(page: str) -> None:
    text = (DOCS / f"{page}.md").read_text()
    for target in re.findall(r"\]\(([^)]+)\)", text):
        path, _, anchor = target.partition("#")
        found = DOCS / (path or f"{page}.md")
        assert found.exists(), target
        if anchor:
            assert anchor in anchors(found.read_text()), target


@pytest.mark.parametrize("page", [DOCS.parent / "README.md", DOCS / "clients.md"])
def test_first_client_is_told_how_long_it_waits_for_others(page: Path) -> None:
    wait_s = Config.model_fields["quick_play_wait_s"].default
    told = f"within {wait_s:g} s (`PLAYHALL_QUICK_PLAY_WAIT_S`), a bot takes the other seat"
    assert told in " ".join(page.read_text().split())


def anchors(text: str) -> set[str]:
    """Give the anchors that headings get: lowercase, hyphens for blanks, no other marks."""
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
