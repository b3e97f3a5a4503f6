"""Email addresses: what is one, what is the same one, how rows of earlier versions are found."""

import unicodedata

import pytest

from persistence.sealing import Seal, SealingKey
from protocol.email_address import InvalidAddress, parse_address, parse_sender
from server.domains.people.accounts.sealed import folded_email, method_indexes, renewed_index

OLD, NEW = SealingKey.generate(), SealingKey.generate()
SEAL = Seal(lambda: [NEW, OLD])


def stored_once(address: str, key: SealingKey = OLD) -> bytes:
    """The index that earlier versions stored."""
    form = unicodedata.normalize("NFC", address.strip()).lower()
    return Seal(lambda: [key]).blind_indexes(form, about="email")[0]


@pytest.mark.parametrize(
    ("typed", "text", "mailed"),
    [
        ("Ann.O'Hara+x@Example.ORG", "Ann.O'Hara+x@example.org", "Ann.O'Hara+x@example.org"),
        ("ann@BÜCHER.example", "ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@xn--bcher-kva.example", "ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@mail.local", "ann@mail.local", "ann@mail.local"),
    ],
)
def test_address_is_shown_in_unicode_and_mailed_in_ascii(
    typed: str, text: str, mailed: str
) -> None:
    address = parse_address(typed)
    assert address.text == text
    assert f"{address.local}@{address.ascii_domain}" == mailed


@pytest.mark.parametrize(
    "typed",
    [
        "a@b", "a@localhost", "a@1.2.3.4", "a@[1.2.3.4]", "é@b.org", "a" * 65 + "@b.org", "",
        "a@" + "b." * 126 + "org", "=?utf-8?q?a?=@b.org", '"a"@b.org', "a@b.org\n", "<a@b.org>",
    ],
)  # fmt: skip
def test_what_is_no_plain_address_is_refused(typed: str) -> None:
    with pytest.raises(InvalidAddress):
        parse_address(typed)


@pytest.mark.parametrize(
    "sender", ["playhall@localhost", "Die Hälle e.V. <hall@example.org>", '"A" <hall@b.org>']
)
def test_sender_may_have_a_name_and_a_local_domain(sender: str) -> None:
    assert parse_sender(sender).address.local in ("playhall", "hall")


@pytest.mark.parametrize(
    "sender", ["", "Playhall", "a@b.org, c@d.org", "A <a@b.org> B", "A\nB <a@b.org>"]
)
def test_sender_that_is_not_one_address_is_refused(sender: str) -> None:
    with pytest.raises(InvalidAddress):
        parse_sender(sender)


@pytest.mark.parametrize(
    "stored",
    [
        "Ann@Example.org", "ann@Bücher.example", "ann@XN--bcher-kva.example", "é.ann@example.org",
        "ann@bu\u0308cher.example", "ann@example.o,g", "a=?b@example.org", "ann@straße.example",
    ],
)  # fmt: skip
def test_row_of_an_earlier_version_is_found_as_it_was_typed(stored: str) -> None:
    assert stored_once(stored) in method_indexes(SEAL, "email", stored)
    assert stored_once(stored) in method_indexes(SEAL, "email", f" {stored} ")


def test_row_of_an_earlier_version_is_found_by_the_other_spelling_of_its_domain() -> None:
    indexes = method_indexes(SEAL, "email", "ann@bücher.example")
    assert stored_once("ann@xn--bcher-kva.example") in indexes
    indexes = method_indexes(SEAL, "email", "ann@XN--BCHER-KVA.example")
    assert stored_once("ann@Bücher.example") in indexes


def test_rows_of_one_mailbox_stay_apart_when_they_are_sealed_anew() -> None:
    spellings = ["ann@bücher.example", "ann@xn--bcher-kva.example"]
    anew = [renewed_index(SEAL, "email", each, stored_once(each)) for each in spellings]
    assert len(set(anew)) == 2
    assert anew == [stored_once(each, NEW) for each in spellings]


def test_spellings_of_a_mailbox_count_as_one() -> None:
    spellings = [
        "ANN@bücher.example",
        "ann@xn--bcher-kva.example",
        "ann@BU\u0308CHER\u3002example ",
    ]
    assert {folded_email(each) for each in spellings} == {"ann@bücher.example"}
