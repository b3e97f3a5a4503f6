"""ZIP archives that would harm whoever unpacks them, or whoever checks them."""

import io
import struct
import zipfile

import pytest

from protocol.packages import PackageRefused
from server.domains.progression.packages.archives import check_archive

MIB = 1024 * 1024


def check(content: bytes, unpacked_bytes_max: int = MIB) -> None:
    check_archive(io.BytesIO(content), unpacked_bytes_max=unpacked_bytes_max)


def zipped(*entries: tuple[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return file.getvalue()


def test_what_is_no_archive_is_the_games_own_business() -> None:
    check(b"")
    check(b"\0" * 1000)
    check(zipped(("a/b.json", b"{}"), ("c", b"x" * 1000)))


def test_bomb_is_refused_by_what_it_says_it_unpacks_to() -> None:
    bomb = zipped(("zeros", bytes(8 * MIB)))
    assert len(bomb) < 20_000
    with pytest.raises(PackageRefused, match="unpacks to more than 1048576 bytes"):
        check(bomb)


def test_bomb_that_says_less_is_refused_as_damaged() -> None:
    """Its directory says 100 bytes; no more than that is inflated."""
    bomb = bytearray(zipped(("zeros", bytes(8 * MIB))))
    directory = bomb.rindex(b"PK\x01\x02")
    bomb[directory + 24 : directory + 28] = struct.pack("<L", 100)
    with pytest.raises(PackageRefused, match="damaged"):
        check(bytes(bomb))


def test_entries_that_share_their_bytes_are_refused() -> None:
    """The second entry of the directory points to the first one's bytes."""
    twin = bytearray(zipped(("a", b"x" * 500), ("b", b"y" * 500)))
    second = twin.rindex(b"PK\x01\x02")
    twin[second + 42 : second + 46] = struct.pack("<L", 0)
    with pytest.raises(PackageRefused, match=r"overlap|damaged"):
        check(bytes(twin))


def test_table_of_contents_that_would_fill_the_memory_is_not_read() -> None:
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 60_000, 60_000, 9 * MIB, 0, 0)
    with pytest.raises(PackageRefused, match="more than 20000 entries"):
        check(b"PK\x03\x04" + bytes(1000) + end)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 200 * MIB, 0, 0)
    with pytest.raises(PackageRefused, match="more than 20000 entries"):
        check(b"PK\x03\x04" + bytes(1000) + end)


def test_zip64_is_refused() -> None:
    locator = b"PK\x06\x07" + bytes(16)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 46, 0, 0)
    with pytest.raises(PackageRefused, match="zip64"):
        check(b"PK\x03\x04" + bytes(100) + locator + end)


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/x", "\\x", "a\\..\\x", "c:x", "x\x01", "..", ".", "//"]
)
def test_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(PackageRefused, match="leads elsewhere"):
        check(zipped((name, b"x")))


def test_name_is_not_cut_off_at_a_nul() -> None:
    content = zipped(("goodXname", b"x")).replace(b"goodXname", b"good\0name")
    with pytest.raises(PackageRefused, match="leads elsewhere"):
        check(content)


@pytest.mark.parametrize("cut", [1, 10, 22, 40])
def test_archive_that_was_cut_off_is_refused(cut: int) -> None:
    with pytest.raises(PackageRefused, match="damaged"):
        check(zipped(("a", b"x" * 100))[:-cut])
