"""The queue of images, over a folder and S3: what happens when a process or a node dies."""

import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from persistence.database import Database
from persistence.images.store import ImageStore
from persistence.objects import ObjectStorage
from persistence.rls import RlsDatabase
from protocol.ids import UserId, new_id
from server.core.events import CreationListed
from server.domains.content.images import process
from server.domains.content.images.service import Images
from server.domains.content.images.settings import ImageSettings
from tests.integration.files.conftest import Store, serving

SECRET = b"taken at home"
# What the store of objects has no part in.
folder_only = pytest.mark.parametrize("objects", ["folder"], indirect=True)


class NodeDied(BaseException):
    """Nothing that comes after is done."""


@dataclass
class Gallery:
    """A store of files, and what processes its images."""

    files: Store
    images: Images

    async def upload(self, who: UserId, content: bytes | None = None) -> str:
        """Upload an image; give its address."""
        path = f"{who}/image/{new_id()}.jpg"
        return await self.files.upload(who, path, content or photograph(), bucket="creations")

    async def state(self, url: str) -> tuple[str, str | None, int]:
        [row] = await self.files.run(
            "SELECT state, error, attempts FROM images JOIN files ON id = file_id WHERE path = $1",
            url.removeprefix("/files/creations/"),
        )
        return row["state"], row["error"], row["attempts"]

    async def pass_time(self) -> None:
        """Let every lease be over."""
        await self.files.run("UPDATE images SET due_at = now() WHERE state = 'waiting'")


def photograph() -> bytes:
    exif = Image.Exif()
    exif[0x010E] = SECRET.decode()
    out = BytesIO()
    Image.effect_noise((64, 48), 50).convert("RGB").save(out, "JPEG", exif=exif)
    return out.getvalue()


@pytest.fixture
async def gallery(
    database: Database, rls: RlsDatabase, objects: ObjectStorage, tmp_path: Path
) -> AsyncIterator[Gallery]:
    listed: list[CreationListed] = []
    images = Images(
        store=ImageStore(database, rls),
        objects=objects,
        folder=tmp_path / "images",
        settings=ImageSettings(seconds_max=5, waiting_max=6, waiting_per_account=3),
        is_on=True,
        publish_event=listed.append,
    )
    async with serving(database, rls, objects, tmp_path, images=images) as files:
        yield Gallery(files, images)


@pytest.fixture
def be_worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Have some other program in the place of the process for images."""

    def be(program: str) -> None:
        (tmp_path / "other_worker.py").write_text(program)
        monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
        monkeypatch.setattr(process, "WORKER", "other_worker")

    return be


async def test_image_is_cleaned_in_either_store(gallery: Gallery) -> None:
    ann = await gallery.files.person()
    url = await gallery.upload(ann)
    before = await gallery.files.keys()
    assert await gallery.images.process_next()
    assert not await gallery.images.process_next()
    assert (await gallery.state(url))[0] == "ready"
    _, content = await gallery.files.get(url, who=ann)
    assert SECRET not in content
    assert await gallery.files.files.maintenance.clear() == 1  # what was uploaded
    after = await gallery.files.keys()
    assert len(after) == 2  # the image and its thumbnail
    assert not before & after


@folder_only
async def test_image_that_kills_its_process_fails_alone(
    gallery: Gallery, be_worker: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = await gallery.files.person(), await gallery.files.person()
    bad = await gallery.upload(ann)
    with monkeypatch.context():
        be_worker("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
        assert await gallery.images.process_next()
        assert await gallery.state(bad) == ("waiting", None, 1)
        assert await gallery.images.process_next()
    assert await gallery.state(bad) == ("failed", "processing_failed", 2)
    answer, _ = await gallery.files.get(bad)
    assert answer.status == 404
    process.WORKER = "server.domains.content.images.worker"
    good = await gallery.upload(bob)
    assert await gallery.images.process_next()
    assert (await gallery.state(good))[0] == "ready"


@folder_only
@pytest.mark.parametrize(
    "program",
    [
        "import time; time.sleep(600)",
        "print('x' * 100_000)",
        'print(\'{"width": 0, "height": -1, "blurhash": ""}\')',
        "print('[]')",
    ],
    ids=["hangs", "floods", "lies", "babbles"],
)
async def test_process_that_misbehaves_is_ended(
    gallery: Gallery,
    be_worker: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    program: str,
) -> None:
    monkeypatch.setattr(process, "SPARE_S", -4.0)
    be_worker(program)
    url = await gallery.upload(await gallery.files.person())
    assert await gallery.images.process_next()
    assert await gallery.images.process_next()
    assert (await gallery.state(url))[:2] == ("failed", "processing_failed")
    assert gallery.images.died_total == 2


async def test_image_of_a_node_that_died_is_taken_up_again(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node dies after it wrote the objects, and before it recorded them."""
    ann = await gallery.files.person()
    url = await gallery.upload(ann)

    async def die(*_: object, **__: object) -> None:
        raise NodeDied

    with monkeypatch.context() as patch:
        patch.setattr(gallery.images._store, "finish", die)
        with pytest.raises(BaseExceptionGroup):
            await gallery.images.process_next()
    assert await gallery.state(url) == ("waiting", None, 1)
    assert not await gallery.images.process_next()  # it is the other node's for a while
    assert len(await gallery.files.keys()) == 3

    await gallery.pass_time()
    assert await gallery.images.process_next()
    assert (await gallery.state(url))[0] == "ready"
    await gallery.files.run("UPDATE file_trash SET thrown_at = now()")
    await gallery.files.files.maintenance.clear()
    assert len(await gallery.files.keys()) == 2  # nothing is left of the first attempt


@folder_only
async def test_waiting_images_are_bounded(gallery: Gallery) -> None:
    ann, bob, eve = [await gallery.files.person() for _ in range(3)]
    for _ in range(3):
        await gallery.upload(ann)
    path = f"{ann}/image/{new_id()}.jpg"
    status, answer = await gallery.files.announce(ann, path, photograph(), bucket="creations")
    assert (status, answer["code"]) == (429, "rate_limited")
    for _ in range(3):
        await gallery.upload(bob)
    path = f"{eve}/image/{new_id()}.jpg"
    status, answer = await gallery.files.announce(eve, path, photograph(), bucket="creations")
    assert (status, answer["code"]) == (503, "overloaded")
    assert await gallery.images.process_next()
    assert await gallery.images.process_next()
    # Of the two that were processed each account had one.
    rows = await gallery.files.run(
        "SELECT owner_id::text FROM images JOIN files ON id = file_id WHERE state = 'ready'"
    )
    assert {row["owner_id"] for row in rows} == {ann, bob}


@folder_only
async def test_image_that_is_deleted_meanwhile_leaves_nothing(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await gallery.files.person()
    url = await gallery.upload(ann)
    finish = gallery.images._store.finish

    async def delete_first(*values: object, **named: object) -> object:
        await gallery.files.run("DELETE FROM files WHERE owner_id = $1", ann)
        return await finish(*values, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(gallery.images._store, "finish", delete_first)
    assert await gallery.images.process_next()
    await gallery.files.run("UPDATE file_trash SET thrown_at = now()")
    await gallery.files.files.maintenance.clear()
    assert await gallery.files.keys() == set()
    answer, _ = await gallery.files.get(url, who=ann)
    assert answer.status == 404
