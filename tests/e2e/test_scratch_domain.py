"""A domain in a scratch folder: everything that it declares is there, without an edit anywhere."""

import io
import re
import zipfile
from pathlib import Path

import aiohttp
import pytest

from playhall import RequestRefused, connect
from tests.fixtures.http import bearer
from tests.fixtures.node import SECRET_KEYS, Node
from tests.fixtures.shell import Done, playhall

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "domains.md"
LINES = ("Hello.", "Hello again.", "And again.")


@pytest.fixture
def titles(tmp_path: Path) -> Path:
    """The folder of the page, as the page has it."""
    folder = tmp_path / "titles" / "guestbook"
    (folder / "migrations").mkdir(parents=True)
    (folder / "__init__.py").touch()
    for text, name in re.findall(
        r"```(?:python|sql)\n((?:#|--) (\w[\w./]+)\n.*?)```", PAGE.read_text(), re.DOTALL
    ):
        (folder / name).write_text(text)
    game = folder / "rulesets" / "nim"
    game.mkdir(parents=True)
    game_page = PAGE.with_name("rulesets.md").read_text()
    code = re.findall(r"```python\n(.*?)```", game_page, re.DOTALL)[0]
    (game / "__init__.py").write_text(code)
    return folder.parent


def migrate(titles: Path, dsn: str, *options: str) -> Done:
    settings = {
        "PLAYHALL_DATABASE_URL": dsn,
        "PLAYHALL_TITLES_PATH": str(titles),
        "PLAYHALL_SECRET_KEYS": SECRET_KEYS,
    }
    return playhall("migrate", *options, environment=settings)


async def test_scratch_domain_is_served_with_all_that_it_declares(
    tmp_path: Path, titles: Path, fresh_dsn: str, serving_dsn: str
) -> None:
    refused = migrate(titles, serving_dsn)
    assert refused.status == 1
    assert "this login is not allowed to" in refused.said
    assert "guestbook/0001_entries" in migrate(titles, fresh_dsn, "--status").out
    assert "Pending" not in migrate(titles, fresh_dsn).out
    settings = {"titles_path": titles, "guestbook_lines_max": len(LINES)}
    with Node(tmp_path / "node", serving_dsn, **settings) as node:
        async with aiohttp.ClientSession(node.url) as http:
            async with http.post("/v1/auth/guest", json={"display_name": "Ann"}) as answer:
                token = (await answer.json())["access_token"]
            async with connect(node.url, token=token) as ann:
                for line in LINES:
                    await ann.call("guestbook.sign", line=line)
                updates = ann.updates()
                assert [(await anext(updates))["line"] for _ in LINES[1:]] == list(LINES[1:])
                with pytest.raises(RequestRefused, match="the maximum number of lines"):
                    await ann.call("guestbook.sign", line="Once more.")
                for line in ("", "\0"):
                    with pytest.raises(RequestRefused, match=r"line: "):
                        await ann.call("guestbook.sign", line=line)
                async with http.get("/v1/guestbook") as answer:
                    assert await answer.json() == {"lines": list(reversed(LINES))}
                async with http.get("/v1/rulesets") as answer:
                    assert "nim" in {each["name"] for each in (await answer.json())["rulesets"]}
                await is_described(http)
                await is_exported_and_erased(http, token)
            await is_measured(http)
    depended_on = migrate(titles, fresh_dsn, "--down", "base")
    depended_on.assert_plain()
    assert "run `playhall migrate --remove guestbook` first" in depended_on.said
    with_rows = migrate(titles, fresh_dsn, "--remove", "guestbook")
    assert (with_rows.status, "--yes" in with_rows.said) == (1, True)
    assert migrate(titles, fresh_dsn, "--remove", "guestbook", "--yes").out.startswith("Removed")
    assert "guestbook/0001_entries" in migrate(titles, fresh_dsn, "--status").out


async def is_described(http: aiohttp.ClientSession) -> None:
    async with http.get("/openapi.json") as answer:
        assert "/v1/guestbook" in (await answer.json())["paths"]
    async with http.get("/asyncapi.json") as answer:
        document = await answer.text()
    for name in ("guestbook.sign", "guestbook.signed", "guestbook_full"):
        assert f'"{name}"' in document


async def is_exported_and_erased(http: aiohttp.ClientSession, token: str) -> None:
    async with http.get("/v1/me/export", headers=bearer(token)) as answer:
        archive = zipfile.ZipFile(io.BytesIO(await answer.read()))
    rows = archive.read("tables/guestbook_entries.jsonl").splitlines()
    assert len(rows) == len(LINES)
    async with http.get("/v1/me", headers=bearer(token)) as answer:
        username = (await answer.json())["username"]
    async with http.delete("/v1/me", headers=bearer(token), json={"confirm": username}) as answer:
        assert answer.status == 200, await answer.text()
    async with http.get("/v1/guestbook") as answer:
        assert await answer.json() == {"lines": []}


async def is_measured(http: aiohttp.ClientSession) -> None:
    async with http.get("/metrics") as answer:
        metrics = await answer.text()
    assert "playhall_guestbook_signed_total 3.0" in metrics
    assert "playhall_guestbook_left_total 1.0" in metrics
    assert 'playhall_refusals_total{code="guestbook_full",transport="websocket"} 1.0' in metrics


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("domain.py", "nothing", "NameError"),
        ("domain.py", "", "has no build(services)"),
        ("migrations/0002_more.up.sql", "SELECT 1", "0002_more.down.sql is missing"),
    ],
)
def test_package_that_cannot_be_used_ends_the_start_with_a_sentence(
    tmp_path: Path, titles: Path, serving_dsn: str, file: str, text: str, said: str
) -> None:
    (titles / "guestbook" / file).write_text(text)
    done = migrate(titles, serving_dsn, "--status")
    done.assert_plain()
    assert done.status == 1
    assert said in done.said


def test_setting_of_a_package_that_is_out_of_bounds_is_named(
    tmp_path: Path, titles: Path, fresh_dsn: str, serving_dsn: str
) -> None:
    assert migrate(titles, fresh_dsn).status == 0
    settings = {
        "PLAYHALL_DATABASE_URL": serving_dsn,
        "PLAYHALL_DATA_DIR": str(tmp_path / "node"),
        "PLAYHALL_PORT": "0",
        "PLAYHALL_SECRET_KEYS": SECRET_KEYS,
        "PLAYHALL_TITLES_PATH": str(titles),
        "PLAYHALL_GUESTBOOK_LINES_MAX": "0",
    }
    done = playhall("serve", environment=settings)
    done.assert_plain()
    assert done.status == 1
    assert "PLAYHALL_GUESTBOOK_LINES_MAX" in done.said
