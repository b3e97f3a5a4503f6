"""The Python client keeps content up to date, whatever the network and the disk do."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from playhall import ConnectionLost, ContentFolder, DataDamaged, InstalledPackage, RequestRefused
from playhall.errors import ServerUnreachable
from playhall.http import HttpClient
from protocol.ids import new_id
from tests.integration.packages.conftest import Studio, prose

ONE = prose(11)
TWO = ONE[:50_000] + b" the other end of the story " + ONE[50_000:]


class Line(HttpClient):
    """A bad line: it breaks off after some parts, or changes bytes of some addresses."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.parts_left = 10**6
        self.cuts = ""

    async def get_range(
        self, path: str, start: int, end: int, *, tag: str, token: str | None = None
    ) -> bytes:
        if self.parts_left <= 0:
            raise ServerUnreachable("The line is down.")
        self.parts_left -= 1
        content = await super().get_range(path, start, end, tag=tag, token=token)
        return content[:-3] if self.cuts and self.cuts in path else content


@pytest.fixture
async def line(studio: Studio) -> AsyncIterator[Line]:
    async with Line(str(studio.node.http._base_url)) as line:
        yield line


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("playhall.content.PART_BYTES", 30_000)
    monkeypatch.setattr("playhall.content.full_jitter_pause_s", lambda _: 0.0)


def _one(installed: list[InstalledPackage], name: str) -> InstalledPackage:
    (found,) = [each for each in installed if each.name == name]
    return found


def _files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def test_content_is_installed_patched_and_rolled_back(
    studio: Studio, line: Line, tmp_path: Path
) -> None:
    name, channel = new_id(), new_id()[:30]
    await studio.release(ONE, name=name, channel=channel)
    content = ContentFolder(line, tmp_path, client="1.0.0", channels=[channel])
    first = _one(await content.update(), name)
    assert first.path.read_bytes() == ONE
    two = await studio.release(TWO, name=name, channel=channel, version="1.0.1")
    await studio.maintenance.make_due()
    before = content.bytes_fetched
    second = _one(await content.update(), name)
    assert (second.version, second.path.read_bytes()) == ("1.0.1", TWO)
    assert content.deltas_applied == 1
    assert content.bytes_fetched - before < len(TWO) // 10
    assert not first.path.exists()
    # Nothing to do, also for another run of the program.
    again = ContentFolder(line, tmp_path, client="1.0.0", channels=[channel])
    assert (await again.update(), again.bytes_fetched) == ([second], 0)
    await studio.act(two, "withdraw", {"reason": "No."})
    assert _one(await again.update(), name).version == "1.0.0"
    assert _files(tmp_path) == {first.path.name, "installed.json"}


async def test_download_goes_on_where_it_broke_off(
    studio: Studio, line: Line, tmp_path: Path
) -> None:
    name, channel = new_id(), new_id()[:30]
    await studio.release(ONE, name=name, channel=channel)
    line.parts_left = 2
    content = ContentFolder(line, tmp_path, client="1.0.0", channels=[channel])
    with pytest.raises(ConnectionLost, match="continues at byte 60000"):
        await content.update()
    line.parts_left = 10**6
    again = ContentFolder(line, tmp_path, client="1.0.0", channels=[channel])
    assert _one(await again.update(), name).path.read_bytes() == ONE
    assert again.bytes_fetched == len(ONE) - 60_000


async def test_rest_of_another_download_is_not_built_on(
    studio: Studio, line: Line, tmp_path: Path
) -> None:
    name, channel = new_id(), new_id()[:30]
    package = await studio.release(ONE, name=name, channel=channel)
    for rest in (b"?" * 1000, b"?" * len(ONE), b"?" * (len(ONE) + 5)):
        folder = tmp_path / new_id()
        folder.mkdir()
        (folder / f"{package['package_id']}.part").write_bytes(rest)
        content = ContentFolder(line, folder, client="1.0.0", channels=[channel])
        assert _one(await content.update(), name).path.read_bytes() == ONE


async def test_truncated_delta_falls_back_to_the_whole_package(
    studio: Studio, line: Line, tmp_path: Path
) -> None:
    name, channel = new_id(), new_id()[:30]
    await studio.release(ONE, name=name, channel=channel)
    content = ContentFolder(line, tmp_path, client="1.0.0", channels=[channel])
    await content.update()
    await studio.release(TWO, name=name, channel=channel, version="1.0.1")
    await studio.maintenance.make_due()
    line.cuts = "/deltas/"
    assert _one(await content.update(), name).path.read_bytes() == TWO
    assert content.deltas_applied == 0


async def test_wrong_delta_falls_back_and_client_without_zstd_fetches_all(
    studio: Studio, line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, channel = new_id(), new_id()[:30]
    await studio.release(ONE, name=name, channel=channel)
    content = ContentFolder(line, tmp_path, client="1.0.0", channels=[channel])
    first = _one(await content.update(), name)
    await studio.release(TWO, name=name, channel=channel, version="1.0.1")
    await studio.maintenance.make_due()
    with monkeypatch.context() as patch:
        patch.setattr("playhall.content._zstd", lambda: None)
        assert _one(await content.update(), name).version == "1.0.1"
    assert content.deltas_applied == 0
    # A delta for other bytes than there are: what it makes is not what was announced.
    first.path.write_bytes(ONE.swapcase())
    made = [each for each in await content.update() if each.name == name]
    assert [each.path.read_bytes() for each in made] == [TWO]


async def test_changed_bytes_are_refused_and_what_was_there_stays(
    studio: Studio, line: Line, tmp_path: Path
) -> None:
    name, channel = new_id(), new_id()[:30]
    await studio.release(ONE, name=name, channel=channel)
    content = ContentFolder(line, tmp_path, client="1.0.0", channels=[channel])
    first = _one(await content.update(), name)
    await studio.release(prose(12), name=name, channel=channel, version="2.0.0")
    line.cuts = "/file"
    with pytest.raises(DataDamaged):
        await content.update()
    assert first.path.read_bytes() == ONE
    line.cuts = ""
    assert _one(await content.update(), name).version == "2.0.0"


async def test_file_that_was_damaged_on_disk_is_fetched_again(
    studio: Studio, line: Line, tmp_path: Path
) -> None:
    name, channel = new_id(), new_id()[:30]
    await studio.release(ONE, name=name, channel=channel)
    content = ContentFolder(line, tmp_path, client="1.0.0", channels=[channel])
    first = _one(await content.update(), name)
    first.path.write_bytes(ONE[:-1])
    assert _one(await content.update(), name).path.read_bytes() == ONE
    (tmp_path / "installed.json").write_text('[{"package_id": "../../x"}]')
    assert _one(await content.update(), name).path.read_bytes() == ONE


async def test_client_that_is_no_version_is_told_which_field(line: Line, tmp_path: Path) -> None:
    with pytest.raises(RequestRefused, match="client"):
        await ContentFolder(line, tmp_path, client="new").update()
