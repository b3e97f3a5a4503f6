"""Encryption at rest: what opens where, with which key, and what is refused."""

from pathlib import Path

import pytest

from persistence.errors import StartRefused
from persistence.sealing import Seal, SealingKey, Unsealable, make_seal, parse_keys

OLD, NEW = SealingKey.generate(), SealingKey.generate()


def _seal(*keys: SealingKey) -> Seal:
    return Seal(lambda: keys)


def test_sealed_value_opens_and_hides_what_it_says() -> None:
    seal = _seal(OLD)
    sealed = seal.seal(b"ann@example.org", about="email of ann")
    assert b"ann" not in sealed
    assert seal.open(sealed, about="email of ann") == b"ann@example.org"
    assert sealed != seal.seal(b"ann@example.org", about="email of ann")


def test_value_moved_to_another_row_does_not_open() -> None:
    sealed = _seal(OLD).seal(b"ann@example.org", about="email of ann")
    with pytest.raises(Unsealable, match="moved"):
        _seal(OLD).open(sealed, about="email of bob")


@pytest.mark.parametrize("place", [0, 1, 2, -1])
def test_damaged_value_does_not_open(place: int) -> None:
    sealed = bytearray(_seal(OLD).seal(b"x", about="y"))
    sealed[place] ^= 1
    with pytest.raises(Unsealable):
        _seal(OLD).open(bytes(sealed), about="y")


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01\x08short", b"\x02\x00"])
def test_what_is_no_sealed_value_does_not_open(sealed: bytes) -> None:
    with pytest.raises(Unsealable):
        _seal(OLD).open(sealed, about="y")


def test_old_key_still_opens_and_the_new_one_seals() -> None:
    sealed = _seal(OLD).seal(b"x", about="y")
    both = _seal(NEW, OLD)
    assert both.open(sealed, about="y") == b"x"
    assert not both.is_newest(sealed)
    assert both.is_newest(both.seal(b"x", about="y"))
    with pytest.raises(Unsealable, match=OLD.id):
        _seal(NEW).open(sealed, about="y")


def test_index_is_found_after_a_key_was_added() -> None:
    (stored,) = _seal(OLD).blind_indexes("ann@example.org", about="email")
    assert stored in _seal(NEW, OLD).blind_indexes("ann@example.org", about="email")
    assert stored not in _seal(OLD).blind_indexes("ann@example.org", about="discord")
    assert stored not in _seal(NEW).blind_indexes("ann@example.org", about="email")


def test_keys_of_the_configuration_are_read_newest_first() -> None:
    assert parse_keys(f"{NEW.to_setting}, {OLD.to_setting}") == [NEW, OLD]


@pytest.mark.parametrize(
    "text",
    ["", "k", "k:", "k:AAAA", f":{'A' * 43}=", "k:%%%", f"{OLD.to_setting},{OLD.to_setting}"],
)
def test_unusable_keys_are_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(StartRefused, match="PLAYHALL_SECRET_KEYS"):
        parse_keys(text)


def test_key_file_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "secret.key"
    sealed = make_seal("", key_file=file, may_make=True).seal(b"x", about="y")
    assert file.stat().st_mode & 0o777 == 0o600
    assert make_seal("", key_file=file, may_make=False).open(sealed, about="y") == b"x"
    assert list(tmp_path.iterdir()) == [file]


def test_database_of_ones_own_needs_keys_of_ones_own(tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match="set it to what `playhall keys new` prints"):
        make_seal("", key_file=tmp_path / "secret.key", may_make=False).require_keys()
