"""Deltas make the new version of the old one, and are not made where they save little."""

import random

from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from server.domains.progression.packages.deltas import WORTH_IT, make_delta
from server.domains.progression.packages.targets import read_metadata_name, read_target


@given(st.binary(min_size=1, max_size=3000), st.binary(min_size=1, max_size=3000), st.binary())
def test_delta_makes_the_new_version(old: bytes, new: bytes, kept: bytes) -> None:
    old, new = old + kept, new + kept
    delta = make_delta(old, new)
    if delta is not None:
        assert len(delta) <= len(new) * WORTH_IT
        assert zstd.decompress(delta, zstd_dict=zstd.ZstdDict(old, is_raw=True).as_prefix) == new


def test_delta_of_what_has_nothing_in_common_is_not_made() -> None:
    chance = random.Random(1)
    assert make_delta(chance.randbytes(50_000), chance.randbytes(50_000)) is None


def test_small_change_of_incompressible_bytes_is_a_small_delta() -> None:
    old = random.Random(2).randbytes(2_000_000)
    new = old[:1_000_000] + b"changed" + old[1_000_000:]
    delta = make_delta(old, new)
    assert delta is not None
    assert len(delta) < 2000


def test_names_of_the_signed_metadata_are_read_and_no_others() -> None:
    assert read_metadata_name("timestamp.json") == ("timestamp", None)
    assert read_metadata_name("12.root.json") == ("root", 12)
    for name in ("0.root.json", "1.2.root.json", "-1.root.json", "mirrors.json", "root.json\n", ""):
        assert read_metadata_name(name) is None, name
    path = f"story/stable/de-AT/{'a' * 64}.1.0.0-rc.1.pkg"
    found = read_target(path)
    assert found is not None
    assert (found[0], found[1]) == (("story", "stable", "de-AT"), "1.0.0-rc.1")
    for wrong in (path.upper(), f"/{path}", f"../{path}", path.replace("stable", ".."), ""):
        assert read_target(wrong) is None, wrong
