"""Unmodified clients of Supabase, from npm and from PyPI, against a real node.

They are installed for the occasion, which takes a while; without Node.js or a registry the test is
skipped.
"""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import asyncpg
import bcrypt
import pytest
from aiohttp import web

from persistence.cluster import postgres_program
from persistence.sealing import SealingKey
from server.gateway.supabase_keys import make_api_key
from tests.fixtures.node import Node
from tests.fixtures.openid import CLIENT_ID, CLIENT_SECRET, Liar, SigningKey, liar
from tests.fixtures.ports import free_port
from tests.fixtures.postgres import TEMPLATE, Databases
from tests.fixtures.smtp import PostOffice, post_office, until

pytestmark = pytest.mark.long("installs packages")

HERE: Final = Path(__file__).parent / "supabase"
SECRET: Final = "a secret of the tests, long enough to sign"
INSTALL_S: Final = 300
RUN_S: Final = 120


@pytest.fixture
def node(databases: Databases, tmp_path: Path) -> Iterator[Node]:
    dsn = databases.create(template=TEMPLATE)
    with Node(tmp_path / "node", databases.serving_dsn(dsn), supabase_api_secret=SECRET) as node:
        yield node
    databases.drop(dsn)


async def run(*command: str | Path, cwd: Path, more: tuple[str, ...] = ()) -> Any:
    key = make_api_key(SECRET, "anon", issued_at=1_700_000_000)
    done = await asyncio.to_thread(
        subprocess.run,
        [*command, key, *more],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def install(*command: str | Path, cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, timeout=INSTALL_S, check=False)
    if done.returncode != 0:
        pytest.skip("the package cannot be installed here")


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the clients of npm, and the scripts that use them."""
    if shutil.which("npm") is None:
        pytest.skip("there is no npm here")
    folder = tmp_path_factory.mktemp("npm")
    (folder / "package.json").write_text('{"name": "client", "private": true}')
    command = ("npm", "install", "--no-audit", "--no-fund", "@supabase/supabase-js")
    install(*command, "tus-js-client", cwd=folder)
    for script in HERE.glob("*.mjs"):
        shutil.copy(script, folder)
    return folder


@asynccontextmanager
async def beside_the_browser(office: PostOffice, provider: Liar) -> AsyncIterator[str]:
    """Serve what a script cannot do: read a mail, and agree at a provider."""

    async def mail(request: web.Request) -> web.Response:
        email, count = request.query["email"], int(request.query["count"])
        await until(lambda: len(office.to(email)) == count)
        text = office.to(email)[-1].get_content()
        found = next(line.strip() for line in text.splitlines() if "?code=" in line)
        return web.Response(text=found)

    async def agree(request: web.Request) -> web.Response:
        provider.sub = "ann@acme"
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar) as browser:
            there = request.query["url"]
            while "redirect_uri=" not in there:
                async with browser.get(there, allow_redirects=False) as answer:
                    there = answer.headers["Location"]
            async with browser.get(provider.consent(there), allow_redirects=False) as answer:
                return web.Response(text=answer.headers["Location"])

    app = web.Application()
    app.router.add_get("/mail", mail)
    app.router.add_get("/agree", agree)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_pkce_providers_and_the_admin_work_unmodified(
    databases: Databases, packages: Path, tmp_path: Path
) -> None:
    dsn = databases.create(template=TEMPLATE)
    target = "http://127.0.0.1:51234/signed-in"
    service = make_api_key(SECRET, "service_role", issued_at=1_700_000_000)
    async with liar(SigningKey("k1")) as provider, post_office() as (office, port):
        acme = {"id": "acme", "name": "Acme", "issuer": provider.issuer, "client_id": CLIENT_ID}
        node = Node(
            tmp_path / "node",
            databases.serving_dsn(dsn),
            supabase_api_secret=SECRET,
            smtp_url=f"smtp+plain://127.0.0.1:{port}",
            oidc_providers=json.dumps([{**acme, "client_secret": CLIENT_SECRET}]),
            sign_in_redirects=target,
        )
        await asyncio.to_thread(node.start)
        try:
            async with beside_the_browser(office, provider) as helper:
                command = ("node", "pkce.mjs", node.url, helper, target, service)
                found = await run(*command, cwd=packages)
        finally:
            node.kill()
    assert "Traceback" not in (said := "\n".join(node.output)), said
    assert found == {
        "signUp": [None, None],
        "entered": [None, "ann@example.org", "red"],
        "updated": [None, "blue"],
        "claims": [None, True],
        "recovered": [None, "recovery"],
        "reset": None,
        "password": None,
        "linked": [None, True],
        "identities": ["acme", "email"],
        "provider": [None, True],
        "unlinked": None,
        "elsewhere": 422,
        "made": [None, "gold"],
        "listed": [None, 2, 2],
        "read": "bea@example.org",
        "changed": 1,
        "invited": [None, "cem@example.org"],
        "generated": [None, True],
        "erased": None,
        "gone": "user_not_found",
        "refused": "not_admin",
    }
    databases.drop(dsn)


async def test_an_upload_of_tus_is_resumed_after_the_node_was_killed(
    databases: Databases, packages: Path, tmp_path: Path
) -> None:
    dsn = databases.create(template=TEMPLATE)
    settings: dict[str, Any] = {"supabase_api_secret": SECRET, "port": free_port()}
    model = tmp_path / "model.glb"
    model.write_bytes(b"glTF" + os.urandom(20 * 1024 * 1024))
    state = tmp_path / "state.json"
    with Node(tmp_path / "node", databases.serving_dsn(dsn), **settings) as node:
        command = ("node", "resumable.mjs", node.url, model, state)
        found = await run(*command, "1", cwd=packages)
        assert found == {"accepted": 6 * 1024 * 1024}
        node.kill()
        await asyncio.to_thread(node.start)
        found = await run(*command, "9999999", cwd=packages)
        assert found == {"accepted": 12 * 1024 * 1024}
        found = await run(*command, "99999999", cwd=packages)
        assert found == {"done": True, "same": True}
    databases.drop(dsn)


async def test_supabase_js_works_unmodified(node: Node, packages: Path) -> None:
    found = await run("node", "client.mjs", node.url, cwd=packages)
    assert found == {
        "guest": [None, True],
        "profile": [None, True],
        "conversation": [None, "string"],
        "search": [None, []],
        "list": [None, 1],
        "claims": [None, True],
        "user": [None, True],
        "refreshed": [None, True],
        "uploaded": [None, True],
        "downloaded": [None, 7],
        "public": 200,
        "signed": [None, 200],
        "listed": ["11111111-1111-4111-8111-111111111111"],
        "info": 7,
        "exists": True,
        "uploadUrl": [None, None],
        "removed": 1,
        "buckets": True,
        "wrong": "invalid_credentials",
        "signedOut": None,
    }


async def test_supabase_of_pypi_works_unmodified(node: Node, tmp_path: Path) -> None:
    install(sys.executable, "-m", "venv", "venv", cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    install(python, "-m", "pip", "install", "-q", "supabase", cwd=tmp_path)
    found = await run(python, HERE / "client_of_pypi.py", node.url, cwd=tmp_path)
    assert found == {
        "profile": True,
        "conversation": "str",
        "search": [],
        "count": 1,
        "user": True,
        "refreshed": True,
        "uploaded": True,
        "downloaded": True,
        "signed": True,
        "removed": 1,
        "buckets": True,
        "nothing": "PGRST205",
        "wrong": "invalid_credentials",
    }


async def test_channels_of_supabase_js_work_unmodified(node: Node, tmp_path: Path) -> None:
    if shutil.which("npm") is None:
        pytest.skip("there is no npm here")
    (tmp_path / "package.json").write_text('{"name": "client", "private": true}')
    packages = ("@supabase/supabase-js", "ws")
    install("npm", "install", "--no-audit", "--no-fund", *packages, cwd=tmp_path)
    shutil.copy(HERE / "realtime.mjs", tmp_path)
    for version in ("2.0.0", "1.0.0"):
        found = await run("node", "realtime.mjs", node.url, cwd=tmp_path, more=(version,))
        sent = [["a", {"n": 1}], ["b", 3], ["c", {"n": 2}]]
        assert found == {
            "ready": ["ok", "ok"],
            "ann": [["INSERT", "one"], ["UPDATE", "two"], ["DELETE", None]],
            "deleted": ["id"],
            "ben": 0,
            "acknowledged": "ok",
            "http": {"success": True},
            "said": [each for each in sent if version == "2.0.0" or each[0] != "b"],
            "tracked": "ok",
            "seen": {"joins": ["ben"], "leaves": ["ben"]},
            "private": ["CHANNEL_ERROR", True],
            "again": ["INSERT", "three"],
            "signedOut": "error",
        }


async def test_channels_of_the_client_of_pypi_work_unmodified(node: Node, tmp_path: Path) -> None:
    install(sys.executable, "-m", "venv", "venv", cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    install(python, "-m", "pip", "install", "-q", "supabase", cwd=tmp_path)
    found = await run(python, HERE / "realtime_of_pypi.py", node.url, cwd=tmp_path)
    assert found == {
        "ann": ["INSERT", "UPDATE", "DELETE"],
        "title": "two",
        "ben": 0,
        "said": {"n": 1},
        "mood": "glad",
    }


# ------------------------------------------------------------------ moving from a project, and back

GUIDE: Final = Path(__file__).parents[2] / "docs" / "guides" / "supabase.md"
PASSWORD: Final = "correct horse battery"
PDF: Final = b"%PDF-1.7 plan"
ANN: Final = "a0000000-0000-4000-8000-000000000001"
SOCIAL: Final = (
    "profiles",
    "creations",
    "likes",
    "comments",
    "follows",
    "notifications",
    "luminor_conversations",
    "luminor_messages",
    "luminor_relationships",
)


def commands_of(heading: str) -> list[str]:
    """Read the commands of a section of the guide that are for a shell."""
    section = GUIDE.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```\n(.*?)```", section, re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("supabase ")]


class Move:
    """A folder in which the guide's commands are typed, and what its variables say."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        programs = folder / "bin"
        programs.mkdir(parents=True)
        (programs / "playhall").symlink_to(Path(sys.executable).parent / "playhall")
        for name in ("psql", "pg_dump"):
            (programs / name).symlink_to(postgres_program(name))
        self.environment = {
            **{name: value for name, value in os.environ.items() if name[:9] != "PLAYHALL_"},
            "PATH": f"{programs}:/usr/bin:/bin",
            **variables,
        }

    def type(self, command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=INSTALL_S,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    async def rows(self, dsn: str, table: str) -> list[dict[str, Any]]:
        connection = await asyncpg.connect(dsn)
        try:
            found = await connection.fetch(f"SELECT to_jsonb(t) FROM {table} t ORDER BY id")
        finally:
            await connection.close()
        return [json.loads(row) for (row,) in found]


async def test_a_project_is_moved_here_and_back_as_the_guide_says(
    databases: Databases, packages: Path, tmp_path: Path
) -> None:
    project, old, new, here = (
        databases.create(),
        databases.create(),
        databases.create(),
        databases.create(template=TEMPLATE),
    )
    data = tmp_path / "node"
    move = Move(
        tmp_path / "move",
        SUPABASE_DB_URL=project,
        OLD_DB_URL=old,
        NEW_DB_URL=new,
        SUPABASE_URL="https://old.supabase.co",
        PLAYHALL_DATABASE_URL=here,
        PLAYHALL_DATA_DIR=str(data),
        PLAYHALL_SECRET_KEYS=SealingKey.generate().to_setting,
    )
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10, b"2a")).decode()
    for dsn in (project, new):
        move.type(f"psql '{dsn}' --quiet --set=ON_ERROR_STOP=1 --file={HERE}/project.sql")
    rows = f"--set=password='{hashed}' --file={HERE}/project_rows.sql"
    move.type(f"psql '{project}' --quiet --set=ON_ERROR_STOP=1 {rows}")
    path = f"creations/{ANN}/image/c0000000-0000-4000-8000-000000000001.pdf"
    (move.folder / "files" / path).parent.mkdir(parents=True)
    (move.folder / "files" / path).write_bytes(PDF)

    said = "".join(map(move.type, commands_of("From a Supabase project to Playhall")))
    assert "accounts: 5" in said
    assert "username a0000000-0000-4000-8000-000000000003: 'Cem!'" in said
    assert "the address was never confirmed" in said
    assert "notifications 90000000-0000-4000-8000-000000000002" in said
    assert "file other/x.bin" in said
    assert "4 things were left out" in said
    # A second run changes nothing.
    again = move.type(commands_of("From a Supabase project to Playhall")[-1])
    assert "accounts" not in again

    node = Node(
        data,
        databases.serving_dsn(here),
        supabase_api_secret=SECRET,
        secret_keys=move.environment["PLAYHALL_SECRET_KEYS"],
    )
    await asyncio.to_thread(node.start)
    try:
        found = await run("node", "moved.mjs", node.url, PASSWORD, cwd=packages)
    finally:
        node.kill()
    assert found == {
        "user": [None, ANN, "red", "gold"],
        "identities": ["discord", "email"],
        "profile": {
            "username": "ann",
            "bio": "Line one\nLine two\twith a tab and a \\",
            "tier": "creator",
            "follower_count": 1,
            "creation_count": 1,
            "avatar_url": f"/files/avatars/{ANN}/avatar.png",
        },
        "creations": [
            {
                "title": "A dragon",
                "status": "published",
                "like_count": 1,
                "comment_count": 2,
                "view_count": 7,
                "comments": [{"content": "Nice"}, {"content": "Thanks"}],
            },
            {
                "title": "A secret",
                "status": "draft",
                "like_count": 0,
                "comment_count": 0,
                "view_count": 0,
                "comments": [],
            },
        ],
        "talks": {
            "title": "Dragons",
            "message_count": 2,
            "luminors": {"slug": "lumina"},
            "luminor_messages": [
                {"role": "user", "content": "Hello"},
                {"role": "assistant", "content": "Good day"},
            ],
        },
        "bond": [3, 42, ["likes dragons"]],
        "found": 1,
        "file": PDF.decode(),
        "banned": "user_banned",
        "again": None,
    }

    said = "".join(map(move.type, commands_of("And back")))
    assert "accounts: 5" in said
    users = {row["id"]: row for row in await move.rows(new, "auth.users")}
    before = {row["id"]: row for row in await move.rows(project, "auth.users")}
    assert users.keys() == before.keys()
    ann = users[ANN]
    assert (ann["email"], ann["raw_user_meta_data"]["color"]) == ("ann@example.org", "red")
    assert ann["encrypted_password"].startswith("$argon2id$")  # hashed anew when she signed in
    assert ann["created_at"] == before[ANN]["created_at"]
    assert sorted(ann["raw_app_meta_data"]["providers"]) == ["discord", "email"]
    identities = await move.rows(new, "auth.identities")
    assert ("80351110224678912", "discord", ANN) in [
        (row["provider_id"], row["provider"], row["user_id"]) for row in identities
    ]
    assert (move.folder / "back" / "files" / path).read_bytes() == PDF
    # What is counted or decided by the server here, and what was left out on the way.
    changed = {"updated_at", "last_active_at", "creation_count", "luminor_id", "key_memories"}
    for table in SOCIAL:
        there = {row["id"]: row for row in await move.rows(new, f"public.{table}")}
        for row in await move.rows(project, f"public.{table}"):
            if row.get("type") == "of_their_own":
                continue
            if row.get("username") == "Cem!":
                changed = {*changed, "username"}
            kept = row.keys() - changed
            assert {name: there[row["id"]][name] for name in kept} == {
                name: row[name] for name in kept
            }
    for dsn in (project, old, new, here):
        databases.drop(dsn)
