"""Images on a real node: cleaned, described, shown to nobody before, and refused one by one."""

import asyncio
import io
from typing import Any

import pytest
from PIL import Image

from tests.e2e.social.conftest import PNG, Person, Platform

pytestmark = pytest.mark.xdist_group("social platform")

SECRET = b"48.2082 N, taken at home"


def photograph(width: int = 120, height: int = 80, **options: Any) -> bytes:
    """An image that was held upright, with where it was taken, and a script behind it."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, SECRET.decode()
    image = Image.new("RGB", (width, height), "red")
    image.paste("blue", (0, 0, width // 2, height // 2))
    out = io.BytesIO()
    image.save(out, "JPEG", exif=exif, quality=90, **options)
    return out.getvalue() + b"<script>alert(1)</script>"


LONG = pytest.mark.long("a process for each image")


def animation(kind: str) -> bytes:
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "lime", "blue")]
    out = io.BytesIO()
    frames[0].save(
        out, kind, save_all=True, append_images=frames[1:], duration=[50, 60, 70], loop=2
    )
    return out.getvalue()


async def put_file(
    ann: Person, creation: str, content: bytes, content_type: str = "image/jpeg"
) -> str:
    body = {"size": len(content), "content_type": content_type}
    announced = await ann.ok("POST", f"/creations/{creation}/uploads", body)
    headers = {"Content-Type": content_type}
    async with ann.platform.web.put(
        announced["upload_url"], data=content, headers=headers
    ) as answer:
        assert answer.status == 200, await answer.text()
    await ann.ok("POST", f"/creations/{creation}/files")
    return str(announced["url"])


async def read(
    platform: Platform, url: str, who: Person | None = None, **headers: str
) -> tuple[int, bytes, Any]:
    sent = {"Authorization": f"Bearer {who.guest.token}"} if who else {}
    async with platform.web.get(url, headers=sent | headers) as answer:
        return answer.status, await answer.read(), answer.headers


async def test_photograph_loses_what_it_tells_and_gains_a_thumbnail(platform: Platform) -> None:
    [ann] = await platform.people(1)
    creation = await ann.draft(type="image")
    url = await put_file(ann, creation, photograph())
    published = await ann.ok("POST", f"/creations/{creation}/publish")
    assert published["status"] in ("processing", "published")  # it waits for its image

    found = await ann.settled(creation)
    assert (found["status"], found["is_public"], found["file_state"]) == (
        "published",
        True,
        "ready",
    )
    assert (found["width"], found["height"]) == (80, 120)  # turned as it was held
    assert len(found["blurhash"]) > 6
    assert found["thumbnail_url"] == f"/files/thumbnails/{ann.id}/{creation}-thumb.webp"

    status, content, _ = await read(platform, url)
    assert status == 200
    assert SECRET not in content
    assert b"script" not in content
    image = Image.open(io.BytesIO(content))
    assert (image.format, image.size, dict(image.getexif())) == ("JPEG", (80, 120), {})
    red, _, blue = image.convert("RGB").getpixel((70, 10))
    assert blue > 200 > red  # what was at the top left is now at the top right
    status, content, headers = await read(platform, found["thumbnail_url"])
    assert (status, headers["Content-Type"]) == (200, "image/webp")
    assert Image.open(io.BytesIO(content)).size == (80, 120)
    assert [
        row["title"] for row in (await ann.ok("GET", f"/creations?user_id={ann.id}"))["creations"]
    ] == ["A lake"]


async def test_files_follow_their_creation_at_once(platform: Platform) -> None:
    [ann] = await platform.people(1)
    creation = await ann.draft(type="image")
    url = await put_file(ann, creation, photograph())
    await ann.ok("POST", f"/creations/{creation}/publish")
    thumbnail = (await ann.settled(creation))["thumbnail_url"]
    for each in (url, thumbnail):
        status, _, headers = await read(platform, each)
        assert (status, headers["Cache-Control"]) == (200, "public, no-cache")
        assert headers["Vary"] == "Authorization"
        assert (await read(platform, each, **{"If-None-Match": headers["ETag"]}))[0] == 304
        assert (await read(platform, each, ann))[2]["Cache-Control"] == "private, no-store"
    await ann.ok("PATCH", f"/creations/{creation}", {"is_public": False})
    for each in (url, thumbnail):
        assert (await read(platform, each, **{"If-None-Match": headers["ETag"]}))[0] == 404
        assert (await read(platform, each, ann))[0] == 200


@pytest.mark.parametrize(
    "kind", ["GIF", *(pytest.param(kind, marks=LONG) for kind in ("PNG", "WEBP"))]
)
async def test_animation_is_kept(platform: Platform, kind: str) -> None:
    [ann] = await platform.people(1)
    creation = await ann.draft(type="image")
    url = await put_file(ann, creation, animation(kind), f"image/{kind.lower()}")
    found = await ann.settled(creation)
    assert (found["file_state"], found["status"]) == ("ready", "draft")
    kept = Image.open(io.BytesIO((await read(platform, url, ann))[1]))
    assert (kept.n_frames, kept.info["loop"]) == (3, 2)
    first = Image.open(io.BytesIO((await read(platform, found["thumbnail_url"], ann))[1]))
    red, _, blue = first.convert("RGB").getpixel((5, 5))
    assert red > 200 > blue


def bomb() -> bytes:
    """An image of 400 million pixels in 49 KB."""
    out = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(out, "PNG")
    return out.getvalue()


async def test_bad_images_fail_alone_and_say_why(platform: Platform) -> None:
    ann, bob = await platform.people(2)
    cut_off = photograph(1200, 800)[:8000]
    png_header_only = PNG[:40]
    bad = {
        "image/png": [(bomb(), "too_large"), (png_header_only, "not_an_image")],
        "image/jpeg": [(cut_off, "not_an_image")],
    }
    failed = []
    for content_type, contents in bad.items():
        for content, error in contents:
            creation = await ann.draft(type="image")
            url = await put_file(ann, creation, content, content_type)
            failed.append((creation, url, error))
    good = await bob.draft(type="image")
    await put_file(bob, good, photograph())
    for creation, url, error in failed:
        found = await ann.settled(creation)
        assert (found["status"], found["file_state"]) == ("draft", "failed")
        assert found["file_error"] == error
        refused = await ann.refused("POST", f"/creations/{creation}/publish")
        assert refused == (409, "creation_incomplete")
        state = await ann.ok("GET", url.replace("/files/", "/images/", 1))
        assert (state["state"], state["error"]) == ("failed", error)
        assert (await read(platform, url))[0] == 404
        assert await bob.refused("GET", url.replace("/files/", "/images/", 1)) == (
            404,
            "image_not_found",
        )
    assert (await bob.settled(good))["file_state"] == "ready"

    # Another file in its place is processed anew.
    creation, url, _ = failed[0]
    await ann.ok("DELETE", url)
    await put_file(ann, creation, PNG, "image/png")
    assert (await ann.settled(creation))["file_error"] is None
    await ann.ok("POST", f"/creations/{creation}/publish")


async def test_avatar_is_public_only_once_it_is_clean(platform: Platform) -> None:
    [ann] = await platform.people(1)
    path = f"{ann.id}/avatar.jpg"
    content = photograph()
    body = {
        "bucket": "avatars",
        "path": path,
        "size": len(content),
        "content_type": "image/jpeg",
    }
    announced = await ann.ok("POST", "/files/uploads", body)
    headers = {"Content-Type": "image/jpeg"}
    async with platform.web.put(announced["upload_url"], data=content, headers=headers) as answer:
        assert answer.status == 200
    async with asyncio.timeout(60):
        while (await ann.ok("GET", f"/images/avatars/{path}"))["state"] == "waiting":
            status, content, _ = await read(platform, announced["url"])
            assert status == 404 or SECRET not in content
            await asyncio.sleep(0.02)
    linked = await platform.owner.fetchval("SELECT avatar_url FROM profiles WHERE id = $1", ann.id)
    assert linked.startswith(f"{announced['url']}?v=")
    status, content, headers = await read(platform, linked)
    assert status == 200
    assert SECRET not in content
    assert headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert (await read(platform, announced["url"]))[2]["Cache-Control"] == "public, max-age=60"
    shown = await ann.ok("GET", f"/images/avatars/{path}")
    assert (await read(platform, shown["thumbnail_url"]))[0] == 200

    # Whoever does not see the person does not see the avatar.
    await ann.ok("POST", "/me/deactivate")
    async with platform.web.get(f"/files/avatars/{path}") as hidden:
        assert hidden.status == 404


async def test_profile_forgets_an_avatar_that_is_deleted(platform: Platform) -> None:
    [ann] = await platform.people(1)
    url = f"/files/avatars/{ann.id}/avatar.jpg"
    await ann.ok("PATCH", "/me", {"avatar_url": url})
    assert (await ann.ok("GET", "/me"))["avatar_url"] == url
    content = photograph()
    body = {"bucket": "avatars", "path": f"{ann.id}/avatar.jpg", "size": len(content)}
    announced = await ann.ok("POST", "/files/uploads", {**body, "content_type": "image/jpeg"})
    headers = {"Content-Type": "image/jpeg"}
    async with platform.web.put(announced["upload_url"], data=content, headers=headers) as answer:
        assert answer.status == 200
    await ann.ok("DELETE", url)
    assert (await ann.ok("GET", "/me"))["avatar_url"] is None


async def test_thumbnail_of_ones_own_is_cleaned_and_not_replaced(platform: Platform) -> None:
    [ann] = await platform.people(1)
    creation = await ann.draft(type="image")
    content = photograph()
    mine = {"content": content, "content_type": "image/jpeg"}
    await ann.upload(creation, kind="thumbnail", **mine)
    await put_file(ann, creation, photograph())
    found = await ann.settled(creation)
    assert found["thumbnail_url"] == f"/files/thumbnails/{ann.id}/{creation}-thumb.jpg"
    async with asyncio.timeout(60):
        while SECRET in (await read(platform, found["thumbnail_url"], ann))[1]:
            await asyncio.sleep(0.05)
