"""Packages from an editor's draft to a client's disk, over HTTP."""

import io
import random
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from backports import zstd

from persistence.accounts.moderation import ModerationStore
from protocol.ids import new_id
from tests.integration.packages.conftest import Studio, checksum_of, prose

ONE, TWO = prose(1), prose(1)[:60_000] + b" and then " + prose(2)[:9000] + prose(1)[60_000:]
HATS = {"kind": "mod", "name": "hats"}


def mod(**fields: list[str]) -> dict[str, object]:
    return {"title": "T", "reads": [], "writes": [], "requires": [], **fields}


def zipped(*entries: tuple[str, bytes], mode: int | None = None, says: int | None = None) -> bytes:
    """Make an archive; `says` is the size that its table of contents gives for every entry."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if mode is not None:
                info.create_system, info.external_attr = 3, mode << 16
            archive.writestr(info, content)
            if says is not None:
                info.file_size = says
    return file.getvalue()


async def test_package_goes_from_draft_to_a_client_and_can_be_withdrawn(studio: Studio) -> None:
    name = new_id()
    draft = await studio.draft(ONE, name=name, release_notes="The beginning.")
    assert (draft["status"], await studio.fetched(name)) == ("draft", None)
    stranger = await studio.node.person()
    assert (await studio.get(draft["url"], stranger))[0].status == 404
    assert (await studio.get(draft["url"], studio.editor))[1] == ONE

    released = await studio.act(draft, "release")
    assert released["released_at"]
    fetched = await studio.fetched(name)
    assert fetched is not None
    assert fetched["checksum"] == checksum_of(ONE)
    assert fetched["release_notes"] == "The beginning."
    answer, content = await studio.get(fetched["url"])
    assert content == ONE
    assert answer.headers["ETag"] == f'"{checksum_of(ONE).removeprefix("sha256:")}"'
    kept = await studio.manifest(have=released["package_id"])
    assert kept["current"] == [released["package_id"]]
    assert name not in [each["name"] for each in kept["fetch"]]

    assert await studio.refusal(draft, "release") == "wrong_package_status"
    assert await studio.node.refusal(
        studio.editor, "DELETE", f"/v1/content/packages/{draft['package_id']}"
    ) == ("wrong_package_status")
    await studio.act(draft, "withdraw", {"reason": "The ending was in it."})
    assert (await studio.get(fetched["url"]))[0].status == 410
    assert await studio.fetched(name) is None
    assert (await studio.manifest(have=draft["package_id"]))["remove"] == [draft["package_id"]]
    path = f"/v1/content/packages/{draft['package_id']}"
    assert await studio.node.refusal(stranger, "GET", path) == "package_not_found"
    read = await studio.node.ok(studio.editor, "GET", path)
    assert read["withdrawn_reason"] == "The ending was in it."

    acts = await studio.run(
        "SELECT action, actor FROM audit_log WHERE target = $1 ORDER BY id", draft["package_id"]
    )
    assert [act["action"] for act in acts] == [
        *("content_draft", "content_upload", "content_release", "content_withdraw")
    ]
    assert {act["actor"] for act in acts} == {studio.editor.user_id}


async def test_download_is_resumed_and_what_changed_meanwhile_is_sent_whole(
    studio: Studio,
) -> None:
    package = await studio.release(ONE)
    answer, _ = await studio.get(package["url"])
    tag = answer.headers["ETag"]
    answer, rest = await studio.get(package["url"], Range="bytes=1000-", If_Range=tag)
    assert (answer.status, rest) == (206, ONE[1000:])
    answer, whole = await studio.get(package["url"], Range="bytes=1000-", If_Range='"other"')
    assert (answer.status, whole) == (200, ONE)
    assert (await studio.get(package["url"], If_None_Match=tag))[0].status == 304
    assert (await studio.get(package["url"], Range=f"bytes={len(ONE)}-"))[0].status == 416


async def test_manifest_has_a_tag_and_equal_questions_get_equal_answers(studio: Studio) -> None:
    await studio.release(ONE)
    url = "/v1/content/manifest?client=1.0.0"
    answer, body = await studio.get(url)
    tag = answer.headers["ETag"]
    again, nothing = await studio.get(url, If_None_Match=f'"x", W/{tag}')
    assert (again.status, nothing) == (304, b"")
    await studio.release(ONE)
    changed, _ = await studio.get(url, If_None_Match=tag)
    assert (changed.status, changed.headers["ETag"] == tag) == (200, False)
    assert body


async def test_locales_fall_back_and_old_clients_get_what_they_can_use(studio: Studio) -> None:
    name = new_id()
    for_all = await studio.release(ONE, name=name)
    german = await studio.release(TWO, name=name, locale="de")
    newer = await studio.release(TWO, name=name, version="1.1.0", required_client_version="2.0.0")
    for locale, expected in (("de-AT", german), ("de_at", german), ("fr", for_all)):
        fetched = await studio.fetched(name, locale=locale)
        assert fetched is not None
        assert fetched["package_id"] == expected["package_id"], locale
    manifest = await studio.manifest()
    needs = [each for each in manifest["needs_client"] if each["name"] == name]
    assert needs == [{"name": name, "version": "1.1.0", "required_client_version": "2.0.0"}]
    fetched = await studio.fetched(name, client="2.0.0", have=for_all["package_id"])
    assert fetched is not None
    assert fetched["package_id"] == newer["package_id"]
    assert (await studio.fetched(name, client="2.0.0-rc.1")) != fetched
    beta = await studio.release(ONE, name=name, version="1.2.0-beta.2", channel="beta")
    fetched = await studio.fetched(name, channel="beta,stable", client="3.0.0")
    assert fetched is not None
    assert fetched["package_id"] == beta["package_id"]


async def test_rollout_grows_by_the_same_accounts_and_never_takes_back(studio: Studio) -> None:
    name = new_id()
    old = await studio.release(ONE, name=name)
    new = await studio.release(TWO, name=name, version="1.1.0", rollout_percent=30)
    people = [f"device-{number}" for number in range(60)]

    async def first_ones() -> set[str]:
        fetched = {each: await studio.fetched(name, installation=each) for each in people}
        return {each for each, got in fetched.items() if got and got["version"] == "1.1.0"}

    early = await first_ones()
    assert 5 <= len(early) <= 32
    path = f"/v1/content/packages/{new['package_id']}"
    await studio.node.ok(studio.editor, "PATCH", path, {"rollout_percent": 60})
    assert early < await first_ones()
    await studio.node.ok(studio.editor, "PATCH", path, {"rollout_percent": 0})
    manifest = await studio.manifest(installation=min(early), have=new["package_id"])
    assert new["package_id"] in manifest["current"]
    fetched = await studio.fetched(name)
    assert fetched is not None
    assert fetched["package_id"] == old["package_id"]


async def test_delta_is_offered_to_who_has_its_parent_and_only_if_it_is_smaller(
    studio: Studio,
) -> None:
    name = new_id()
    one = await studio.release(ONE, name=name)
    two = await studio.release(TWO, name=name, version="1.0.1")
    await studio.maintenance.make_due()
    fetched = await studio.fetched(name, have=one["package_id"])
    assert fetched is not None
    delta = fetched["delta"]
    assert delta["size"] < len(TWO) // 10
    _, patch = await studio.get(delta["url"])
    assert checksum_of(patch) == delta["checksum"]
    prefix = zstd.ZstdDict(ONE, is_raw=True).as_prefix
    assert zstd.decompress(patch, zstd_dict=prefix) == TWO
    assert (await studio.fetched(name))["delta"] is None  # type: ignore[index]
    # What has nothing in common with its parent has no delta.
    noise = random.Random(9).randbytes(50_000)
    await studio.release(noise, name=name, version="1.0.2")
    await studio.maintenance.make_due()
    fetched = await studio.fetched(name, have=two["package_id"])
    assert fetched is not None
    assert (fetched["version"], fetched["delta"]) == ("1.0.2", None)
    await studio.act(two, "withdraw", {"reason": "No."})
    assert (await studio.get(delta["url"]))[0].status == 410


async def test_rollback_withdraws_what_is_above_and_clients_go_back(studio: Studio) -> None:
    name = new_id()
    one = await studio.release(ONE, name=name)
    two = await studio.release(TWO, name=name, version="1.1.0")
    three = await studio.release(ONE + b".", name=name, version="1.2.0")
    body = {"name": name, "version": "1.0.0", "reason": "Saves were lost."}
    done = await studio.node.ok(studio.editor, "POST", "/v1/content/rollback", body)
    assert [each["package_id"] for each in done["withdrawn"]] == [
        three["package_id"],
        two["package_id"],
    ]
    fetched = await studio.fetched(name, have=three["package_id"])
    assert fetched is not None
    assert fetched["package_id"] == one["package_id"]
    again = {**body, "version": "1.1.0"}
    assert (
        await studio.node.refusal(studio.editor, "POST", "/v1/content/rollback", again)
        == "wrong_package_status"
    )
    # What is released next is above what is served, and need not be above what was withdrawn.
    await studio.release(TWO, name=name, version="1.0.1")
    status, error = await studio.announce(TWO, name=name, version="1.1.0")
    assert (status, error["code"]) == (409, "version_taken")


async def test_versions_only_rise_and_compare_as_versions(studio: Studio) -> None:
    name = new_id()
    await studio.release(ONE, name=name, version="1.9.0")
    for version, code in (("1.8.9", "version_too_low"), ("1.9.0", "version_too_low")):
        status, error = await studio.announce(ONE, name=name, version=version)
        assert (status, error["code"], error["field"]) == (409, code, "version")
    await studio.release(ONE, name=name, version="1.10.0-rc.1")
    draft = await studio.draft(ONE, name=name, version="1.10.0-rc.2")
    await studio.release(ONE, name=name, version="1.10.0")
    assert await studio.refusal(draft, "release") == "version_too_low"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"version": "1.0"}, "version"),
        ({"version": "01.0.0"}, "version"),
        ({"version": "1.0.0+build"}, "version"),
        ({"version": "1.0.0\n"}, "version"),
        ({"version": "1." + "0" * 80 + ".0"}, "version"),
        ({"name": "../story"}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": "Story"}, "name"),
        ({"name": ""}, "name"),
        ({"locale": "german"}, "locale"),
        ({"channel": ".."}, "channel"),
        ({"checksum": "md5:1234"}, "checksum"),
        ({"checksum": "sha256:" + "A" * 64}, "checksum"),
        ({"size": 0}, "size"),
        ({"size": 2**39}, "size"),
        ({"rollout_percent": 101}, "rollout_percent"),
        ({"required_client_version": "latest"}, "required_client_version"),
        ({"release_notes": "x" * 4001}, "release_notes"),
        ({"kind": "mod"}, "mod"),
        ({"mod": mod()}, "mod"),
        ({"saves": {"title": "story", "oldest": 3, "newest": 2}}, "saves.oldest"),
        ({**HATS, "mod": mod(writes=["flags.x"])}, "mod.writes"),
        ({**HATS, "mod": mod(writes=["mods.hats2"])}, "mod.writes"),
        ({**HATS, "mod": mod(reads=["wallet.gold"])}, "mod.reads"),
        ({"kind": "mod", "mod": mod(reads=["flags"] * 65)}, "mod.reads"),
        ({"kind": "mod", "mod": mod(reads=["flags..x"])}, "mod.reads.0"),
    ],
)  # fmt: skip
async def test_bad_announcement_names_the_field(
    studio: Studio, fields: dict[str, Any], field: str
) -> None:
    status, error = await studio.announce(ONE, **fields)
    assert (status, error["field"]) == (422, field), error


async def test_bytes_that_are_not_what_was_announced_leave_nothing(studio: Studio) -> None:
    _, draft = await studio.announce(ONE)
    for content, field in ((ONE[:-1] + b"?", "checksum"), (ONE[:-1], "size"), (ONE + b"?", "size")):
        status, error = await studio.put(draft, content)
        assert (status, error["code"], error["field"]) == (422, "package_refused", field)
    assert await studio.refusal(draft, "release") == "wrong_package_status"
    assert (await studio.get(draft["url"], studio.editor))[0].status == 404
    status, _ = await studio.put(draft, ONE)
    assert status == 200
    keys = await studio.run(
        "SELECT key FROM content_packages WHERE package_id = $1", draft["package_id"]
    )
    status, _ = await studio.put(draft, ONE)  # again: the object before is thrown away
    assert status == 200
    assert await studio.run("SELECT FROM file_trash WHERE key = $1", keys[0]["key"])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: zipped(("../../etc/passwd", b"x")), "elsewhere"),
        (lambda: zipped(("/etc/passwd", b"x")), "elsewhere"),
        (lambda: zipped(("C:\\windows", b"x")), "elsewhere"),
        (lambda: zipped(("a", b"x"), ("A", b"y")), "twice"),
        (lambda: zipped(("link", b"/etc/passwd"), mode=0o120777), "link"),
        (lambda: zipped(("story.json", b"{}"))[:-30], "damaged"),
        (
            lambda: zipped(("story.json", b"abcdefgh" * 50)).replace(b"story", b"other", 1),
            "damaged",
        ),
        (lambda: zipped(*((f"{number}", b"") for number in range(20_001))), "20000 entries"),
        (
            lambda: zipped(*((f"{number}", b"") for number in range(17)), says=64 << 20),
            "unpacks to more",
        ),
    ],
    ids=range(9),
)
async def test_archive_that_is_not_safe_is_refused(
    studio: Studio, make: Callable[[], bytes], said: str
) -> None:
    content = make()
    _, draft = await studio.announce(content)
    status, error = await studio.put(draft, content)
    assert (status, error["code"]) == (422, "package_refused")
    assert said in error["message"]


async def test_archive_with_plain_contents_is_released(studio: Studio) -> None:
    archive = zipped(("chapters/one.json", b"{}" * 1000), ("art/", b""), mode=0o100644)
    await studio.release(archive)


async def test_mod_is_offered_to_those_who_chose_it(studio: Studio) -> None:
    name = f"mod-{new_id()}"
    manifest = {
        "title": "Hats",
        "reads": ["flags.chapter", f"mods.{name}"],
        "writes": [f"mods.{name}.hats"],
        "requires": [{"name": "story", "version": "1.0.0"}],
    }
    await studio.release(ONE, name=name, kind="mod", mod=manifest)
    assert await studio.fetched(name) is None
    fetched = await studio.fetched(name, mods=f"other,{name}")
    assert fetched is not None
    assert (fetched["kind"], fetched["mod"]) == ("mod", manifest)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"client": "new"}, "client"),
        ({"client": ""}, "client"),
        ({"locale": "../de"}, "locale"),
        ({"have": "story@1.0.0"}, "have"),
        ({"have": ",".join(new_id() for _ in range(201))}, "have"),
        ({"channel": ",".join("abcdefghi")}, "channel"),
        ({"mods": ",".join(str(number) for number in range(33))}, "mods"),
    ],
)
async def test_bad_question_names_the_field(
    studio: Studio, query: dict[str, str], field: str
) -> None:
    query = {"client": "1.0.0", **query}
    status, error = await studio.node.ask(None, "GET", "/v1/content/manifest", **query)
    assert (status, error["field"]) == (422, field), error


async def test_only_editors_edit_and_a_role_that_is_taken_away_is_gone(studio: Studio) -> None:
    node, package = studio.node, await studio.draft(ONE)
    stranger, support = await node.person(), await node.person(role="support")
    path = f"/v1/content/packages/{package['package_id']}"
    for who in (stranger, support):
        assert await node.refusal(who, "POST", f"{path}/release") == "forbidden"
        assert await node.refusal(who, "PATCH", path, {"rollout_percent": 1}) == "forbidden"
        assert await node.refusal(who, "DELETE", path) == "forbidden"
        assert (await studio.put(package, ONE, who))[0] == 403
    assert (await studio.put(package, ONE))[0] == 200
    once = await node.person(role="editor")
    await ModerationStore(node.database).set_roles(once.user_id, [], actor="console")
    assert await node.refusal(once, "DELETE", path) == "forbidden"
    listed = await node.ok(studio.editor, "GET", "/v1/content/packages", status="draft", limit=100)
    assert package["package_id"] in [each["package_id"] for each in listed["packages"]]
    listed = await node.ok(stranger, "GET", "/v1/content/packages", limit=100)
    assert {each["status"] for each in listed["packages"]} == {"released"}
    await node.ok(studio.editor, "DELETE", path)
    assert await node.refusal(studio.editor, "GET", path) == "package_not_found"


async def test_list_goes_on_where_it_ended(studio: Studio) -> None:
    name = new_id()
    made = [await studio.draft(ONE, name=name, version=f"1.{number}.0") for number in range(3)]
    ask = studio.node.ok
    first = await ask(studio.editor, "GET", "/v1/content/packages", name=name, limit=2)
    rest = await ask(
        studio.editor, "GET", "/v1/content/packages", name=name, limit=2, cursor=first["next"]
    )
    listed = [*first["packages"], *rest["packages"]]
    assert [each["package_id"] for each in listed] == [
        each["package_id"] for each in reversed(made)
    ]
    assert rest["next"] is None
