"""A node is killed while it processes an image: the next one ends the work."""

import asyncio
import io
from pathlib import Path

import aiohttp
import asyncpg
from PIL import Image

from tests.faults.client_line import new_guests
from tests.fixtures.http import bearer
from tests.fixtures.node import Node
from tests.fixtures.postgres import TEMPLATE, Databases

SECRET = "taken at home"


def large_photograph() -> bytes:
    """A photograph that takes a while to turn."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, SECRET
    out = io.BytesIO()
    Image.effect_noise((3000, 2500), 80).convert("RGB").save(out, "JPEG", exif=exif, quality=95)
    return out.getvalue()


async def test_image_survives_that_its_node_is_killed(databases: Databases, tmp_path: Path) -> None:
    dsn = databases.create(template=TEMPLATE)
    owner = await asyncpg.connect(dsn)
    content = large_photograph()
    with Node(tmp_path, databases.serving_dsn(dsn)) as node:
        [ann] = await new_guests(node, 1)
        headers = bearer(ann.token)
        async with aiohttp.ClientSession(node.url, headers=headers) as web:
            body = {"title": "A lake", "type": "image"}
            async with web.post("/v1/creations", json=body) as answer:
                creation = (await answer.json())["creation_id"]
            path = f"/v1/creations/{creation}"
            body = {"size": len(content), "content_type": "image/jpeg"}  # type: ignore[dict-item]
            async with web.post(f"{path}/uploads", json=body) as answer:
                announced = await answer.json()
            kind = {"Content-Type": "image/jpeg"}
            async with web.put(
                announced["upload_url"], data=io.BytesIO(content), headers=kind
            ) as answer:
                assert answer.status == 200
            await web.post(f"{path}/files")
            async with web.post(f"{path}/publish") as answer:
                assert (await answer.json())["status"] == "processing"
            async with asyncio.timeout(30):
                while not await owner.fetchval("SELECT attempts FROM images"):
                    await asyncio.sleep(0.005)
            node.kill()
        assert await owner.fetchval("SELECT state FROM images") == "waiting"
        await owner.execute("UPDATE images SET due_at = now()")  # the dead node's time is over
        node.start()
        async with aiohttp.ClientSession(node.url, headers=headers) as web, asyncio.timeout(60):
            found = {"status": "processing"}
            while found["status"] == "processing":
                await asyncio.sleep(0.1)
                async with web.get(path) as answer:
                    found = await answer.json()
            assert (found["status"], found["file_state"]) == ("published", "ready")
            async with web.get(announced["url"]) as answer:
                assert SECRET.encode() not in await answer.read()
    await owner.close()
