"""Content from an operator's and an editor's hands to a player's disk, on a real server."""

import asyncio
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
from tuf.ngclient import Updater

from playhall import ContentFolder
from playhall.http import HttpClient
from tests.fixtures.http import bearer
from tests.fixtures.node import SECRET_KEYS, Node
from tests.fixtures.shell import Done, playhall

STORY = b'{"chapter": 1, "text": "' + b"Once upon a time. " * 4000 + b'"}'


async def test_release_reaches_a_player_who_trusts_the_operators_root_alone(
    serving_dsn: str, tmp_path: Path
) -> None:
    operator = {"PLAYHALL_DATABASE_URL": serving_dsn, "PLAYHALL_SECRET_KEYS": SECRET_KEYS}

    def run(*arguments: object) -> Done:
        done = playhall("content", *arguments, environment=operator)
        done.assert_plain()
        return done

    node = Node(tmp_path / "data", serving_dsn)
    await asyncio.to_thread(node.start)
    try:
        root = await asyncio.to_thread(run, "root")
        assert json.loads(root.out)["signed"]["_type"] == "root"
        assert (await asyncio.to_thread(run, "root")).out == root.out
        assert "no drafts" in (await asyncio.to_thread(run, "check")).said
        async with aiohttp.ClientSession(node.url) as web:
            editor = await _editor(node, web)
            package = await _release(web, editor, run)
            await _keep_what_would_break(web, editor, run)
        rotated = await asyncio.to_thread(run, "rotate-key", "timestamp")
        assert rotated.said.startswith("The key of timestamp is ")
        unknown = await asyncio.to_thread(run, "rotate-key", "king")
        assert (unknown.status, "There is no role 'king'" in unknown.said) == (1, True)
        async with HttpClient(node.url) as http:
            content = ContentFolder(http, tmp_path / "content", client="1.0.0")
            (installed,) = await content.update()
        verified = await asyncio.to_thread(
            _verified, node.url, root.out.encode(), package, tmp_path / "tuf"
        )
    finally:
        node.kill()
    assert installed.path.read_bytes() == verified == STORY


async def _editor(node: Node, web: aiohttp.ClientSession) -> dict[str, str]:
    async with web.post("/v1/auth/guest", json={}) as answer:
        tokens = await answer.json()
    await asyncio.to_thread(node.grant, tokens["user_id"], "editor")
    return bearer(tokens["access_token"])


async def _release(web: aiohttp.ClientSession, editor: dict[str, str], run: Any) -> dict[str, Any]:
    body = {
        "name": "story",
        "version": "1.0.0",
        "checksum": f"sha256:{sha256(STORY).hexdigest()}",
        "size": len(STORY),
    }
    async with web.post("/v1/content/packages", json=body, headers=editor) as answer:
        draft = await answer.json()
    async with web.put(draft["url"], data=STORY, headers=editor) as answer:
        assert answer.status == 200, await answer.text()
    checked = await asyncio.to_thread(run, "check", draft["package_id"])
    assert (checked.status, checked.said) == (0, "story 1.0.0 (stable, und): ok")
    path = f"/v1/content/packages/{draft['package_id']}/release"
    async with web.post(path, json={}, headers=editor) as answer:
        released: dict[str, Any] = await answer.json()
    assert released["status"] == "released", released
    return released


async def _keep_what_would_break(
    web: aiohttp.ClientSession, editor: dict[str, str], run: Any
) -> None:
    save = {"title": "story", "state": {"chapter": 1}}
    async with web.post("/v1/saves", json=save, headers=editor) as answer:
        assert answer.status in (200, 201), await answer.text()
    body = {
        "name": "sequel",
        "version": "1.0.0",
        "checksum": f"sha256:{sha256(STORY).hexdigest()}",
        "size": len(STORY),
        "saves": {"title": "story", "oldest": 2, "newest": 2},
    }
    async with web.post("/v1/content/packages", json=body, headers=editor) as answer:
        draft = await answer.json()
    async with web.put(draft["url"], data=STORY, headers=editor) as answer:
        assert answer.status == 200, await answer.text()
    checked = await asyncio.to_thread(run, "check")
    assert checked.status == 1
    assert "sequel 1.0.0 (stable, und): saves would not load" in checked.said
    assert "schema version 1: 1 saves: there is no save schema of version 2" in checked.said
    path = f"/v1/content/packages/{draft['package_id']}"
    async with web.post(f"{path}/release", json={}, headers=editor) as answer:
        assert (answer.status, (await answer.json())["code"]) == (409, "saves_would_break")


def _verified(url: str, root: bytes, package: dict[str, Any], folder: Path) -> bytes:
    folder.mkdir()
    updater = Updater(
        metadata_dir=str(folder),
        metadata_base_url=f"{url}/v1/content/tuf/metadata/",
        target_dir=str(folder),
        target_base_url=f"{url}/v1/content/tuf/targets/",
        bootstrap=root,
    )
    updater.refresh()
    info = updater.get_targetinfo("{name}/{channel}/{locale}/{version}.pkg".format(**package))
    assert info is not None
    return Path(updater.download_target(info)).read_bytes()
