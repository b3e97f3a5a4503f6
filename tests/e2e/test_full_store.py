"""A file store without room: it is said to be full, to people and to the operator."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.faults.client_line import Guest, lines, new_guests, sit_down, until
from tests.fixtures.http import bearer
from tests.fixtures.node import Node

STORE_BYTES = 1024 * 1024
GLB = b"glTF" + bytes(4096)
FULL = "The file store is full"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk that can be filled."""
    disk = tmp_path / "disk"
    disk.mkdir()
    options = f"size={STORE_BYTES},mode=755"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk], check=False)
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


async def _announced(web: aiohttp.ClientSession, guest: Guest, name: str) -> str:
    user = guest.session["user_id"]
    path = f"{user}/{guest.player_id}/{name}.glb"
    kind = "model/gltf-binary"
    body = {"bucket": "user-assets", "path": path, "size": len(GLB), "content_type": kind}
    async with web.post("/v1/files/uploads", json=body, headers=bearer(guest.token)) as answer:
        body = await answer.json()
        assert answer.status == 200, body
    return str(body["upload_url"])


async def _put(web: aiohttp.ClientSession, url: str) -> tuple[int, dict[str, object], str]:
    async with web.put(url, data=GLB, headers={"Content-Type": "model/gltf-binary"}) as answer:
        return answer.status, await answer.json(), answer.headers.get("Retry-After", "")


@pytest.mark.parametrize("what", ["files", "uploads"])
async def test_full_store_is_said_to_be_full_and_works_again_with_room(
    tmp_path: Path, serving_dsn: str, small_disk: Path, what: str
) -> None:
    folder = tmp_path / "node"
    folder.mkdir()
    (folder / what).symlink_to(small_disk)  # the store itself, or where uploads wait
    with Node(folder, serving_dsn) as node:
        [guest] = await new_guests(node, 1)
        async with aiohttp.ClientSession(node.url) as web:
            first = await _put(web, await _announced(web, guest, "first"))
            assert first[0] == 200, first
            urls = [await _announced(web, guest, name) for name in ("second", "third")]
            _fill(small_disk / "filler")
            status, refused, pause = await _put(web, urls[0])
            assert (status, refused["code"], refused["retry"]) == (507, "storage_full", True)
            assert str(refused["message"]).startswith(FULL)
            assert int(pause) > 1
            if what == "files":
                async with lines(node, [guest]) as [line]:
                    game_id = await sit_down([line], "relay")
                    await line.ok("game.act", game_id=game_id, cmd_no=1, move={"type": "end"})

                async def is_logged() -> bool:
                    return any("building replays waits" in line for line in node.output)

                await until(is_logged)
                logged = [line for line in node.output if "building replays waits" in line]
                assert "WARNING" in logged[0]
                assert FULL in logged[0]
                assert "database" not in logged[0]
            (small_disk / "filler").unlink()
            assert (await _put(web, urls[1]))[0] == 200
        assert not any("ERROR" in line for line in node.output)


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return
